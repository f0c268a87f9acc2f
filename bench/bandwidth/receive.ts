/** Run in a namespace as `receive.ts PORT SKIPPED_MS MEASURED_MS`: prints the bits per second that one connection brings. */
import { createServer } from 'node:net';

const [port = 0, skippedMs = 0, measuredMs = 0] = process.argv.slice(2).map(Number);

const server = createServer((socket) => {
  const connected = performance.now();
  let start: number | undefined;
  let bytes = 0;
  socket.on('error', () => process.exit(1));
  socket.on('end', () => process.exit(1));
  socket.on('data', ({ length }) => {
    const now = performance.now();
    if (start === undefined) {
      if (now - connected >= skippedMs) start = now;
      return;
    }
    bytes += length;
    if (now - start < measuredMs) return;
    console.log((bytes * 8) / ((now - start) / 1000));
    process.exit();
  });
});
server.listen(port, () => console.log('listening'));
