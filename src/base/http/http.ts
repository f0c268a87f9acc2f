/**
 * HTTP of Node.js without its WebSocket. An `import` of node:http reads every export, among them one that loads a
 * browser's client: 13 MiB of unused memory.
 */
export const { Agent, createServer, request } = process.getBuiltinModule('node:http');
