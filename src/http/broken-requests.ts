/** Answers what never became a request: broken HTTP, headers without end, requests that do not arrive. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectionError } from 'fastify';
import type { KernelCode } from '../contract/errors.ts';
import { documentOf, ofKernel, PROBLEM_TYPE } from './problem.ts';
import { continueTrace, requestIdOf } from './trace.ts';

const BY_NODE_CODE: Readonly<Record<string, readonly [KernelCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['HEADERS_TOO_LARGE', 'the headers have more than 16 KiB'],
  HPE_INVALID_EOF_STATE: ['MALFORMED_REQUEST', 'the request ended before it was whole'],
  ERR_HTTP_REQUEST_TIMEOUT: ['REQUEST_TIMEOUT', 'the request did not arrive in time'],
};

/** For Fastify's `clientErrorHandler`. There is no reply to write to, so the answer is written by hand. */
export function answerBrokenRequest(error: ConnectionError, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  if (socket.writable) socket.write(responseTo(error));
  socket.destroy(error);
}

function responseTo(error: ConnectionError): string {
  const failure = ofKernel(...(BY_NODE_CODE[error.code] ?? (['MALFORMED_REQUEST', 'this is not HTTP/1.1'] as const)));
  const traceparent = continueTrace(undefined);
  const traceId = traceparent.slice(3, 35);
  const body = JSON.stringify(documentOf(failure, { instance: '/', traceId }));
  const head = [
    `HTTP/1.1 ${failure.status} ${STATUS_CODES[failure.status]}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'cache-control: no-store',
    `x-request-id: ${requestIdOf({})}`,
    `traceparent: ${traceparent}`,
    'connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
