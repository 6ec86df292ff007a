/** Errors over the wire: both kinds of `src/contract/errors.ts` keep their identity, anything else becomes INTERNAL before. */
import { Type } from '@sinclair/typebox';
import { CallError, ContractError, type KernelCode, kernelErrors } from '../contract/errors.ts';
import type { Contract } from '../contract/contract.ts';
import { strict } from '../contract/schemas.ts';
import { violationOf } from '../contract/validate.ts';

const Violation = strict({ path: Type.String(), message: Type.String() });

/** With `module` a refusal of that module's contract, without it a failure of the call itself. */
const WireFailure = strict({
  module: Type.Optional(Type.String()),
  code: Type.String(),
  detail: Type.String(),
  data: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  errors: Type.Optional(Type.Array(Violation)),
});

export interface WireFailure {
  readonly module?: string;
  readonly code: string;
  readonly detail: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

export function toWire(error: CallError | ContractError): WireFailure {
  const { code, message: detail } = error;
  if (error instanceof ContractError) return { module: error.module, code, detail, ...(error.data && { data: error.data }) };
  return { code, detail, ...(error.errors && { errors: error.errors }) };
}

/**
 * What a callee's answer means to the caller.
 * @returns undefined for what is no failure of this contract, or of the kernel
 */
export function fromWire(contract: Contract, answer: unknown): CallError | ContractError | undefined {
  if (violationOf(WireFailure, answer)) return undefined;
  const { module, code, detail, data, errors } = answer as WireFailure;
  if (module === undefined) return Object.hasOwn(kernelErrors, code) ? new CallError(code as KernelCode, detail, { errors }) : undefined;
  const spec = module === contract.name ? contract.errors[code] : undefined;
  return spec && new ContractError({ module, code, status: spec.status, title: spec.title, detail, ...(data && { data: { ...data } }) });
}
