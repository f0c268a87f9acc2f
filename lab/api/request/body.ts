/** The body of a request, up to a limit, as the bytes that came. */
import type { IncomingMessage } from 'node:http';
import { ApiFailure } from './failure.ts';

/** Bytes, as the API server limits them. */
export const MOST_BYTES = 3 << 20;

/** @throws ApiFailure where it is too large; what more comes is dropped. */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MOST_BYTES) chunks.push(chunk);
      else {
        chunks.length = 0;
        reject(new ApiFailure('RequestEntityTooLarge', `Request entity too large: limit is ${MOST_BYTES}`));
      }
    });
    request.on('error', reject);
    request.on('end', () => resolve(Buffer.concat(chunks)));
  });
}
