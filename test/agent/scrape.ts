/** What an agent serves at its socket. */
import { request } from 'node:http';

export function scrape(socketPath: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const question = request({ socketPath, path }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    question.on('error', reject).end();
  });
}

/** @param series with its labels, as it is exported. @returns NaN where there is none. */
export async function valueOf(socketPath: string, series: string): Promise<number> {
  const { body } = await scrape(socketPath, '/metrics');
  const line = body.split('\n').find((text) => text.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1));
}
