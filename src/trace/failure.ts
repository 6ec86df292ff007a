/**
 * What a span says of an error: a class of few values, and whether it was a failure at all. Never its message, which
 * may quote what somebody sent; the log has that, under the same trace id.
 */
import { CallError, ContractError } from '../contract/errors.ts';

/** Of `code` (SQLSTATE, Node's, nodemailer's) and `name`; others could hold anything. */
const HARMLESS = /^\w{1,64}$/;

/** Value of `error.type`: our own code, else the one of the library below, else the error's class. */
export function errorTypeOf(error: unknown): string {
  if (error instanceof CallError) return error.code;
  if (error instanceof ContractError) return `${error.module}.${error.code}`;
  if (!(error instanceof Error)) return typeof error;
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && HARMLESS.test(code)) return code;
  const name = error.name === 'Error' ? error.constructor.name : error.name;
  return HARMLESS.test(name) ? name : 'Error';
}

/** A refusal is an answer; and a caller that went away is no failure of those whom it asked. */
export function isFailure(error: unknown): boolean {
  return !(error instanceof CallError || error instanceof ContractError) || error.status >= 500;
}

/** Words for people, where the catalogue has some. */
export function titleOf(error: unknown): string | undefined {
  return error instanceof CallError || error instanceof ContractError ? error.title : undefined;
}
