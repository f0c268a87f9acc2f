/** Events (core/v1): what people see of an object in `kubectl describe`. */
import { hash } from 'node:crypto';

export type EventText = {
  involved: { apiVersion: string; kind: string; namespace?: string; name: string; uid: string };
  /** One word, for programs. */
  reason: string;
  message: string;
  type: 'Normal' | 'Warning';
  /** The node that tells. */
  host: string;
};

const LONGEST_MESSAGE = 1000;

/** One of the same text within a second is the same. Events of what lies in no namespace lie in `default`. */
export function eventOf({ involved, reason, message, type, host }: EventText, now: Date, count = 1): object {
  const time = timeOf(now);
  const namespace = involved.namespace ?? 'default';
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: eventName(involved.name, `${message} ${time}`), namespace },
    involvedObject: involved,
    reason,
    message: message.slice(0, LONGEST_MESSAGE),
    type,
    source: { component: 'fairlead', host },
    firstTimestamp: time,
    lastTimestamp: time,
    count,
  };
}

/** What makes of an Event that was told one that has happened so many times. */
export function repeatOf(message: string, now: Date, count: number): object {
  return { message: message.slice(0, LONGEST_MESSAGE), lastTimestamp: timeOf(now), count };
}

/** RFC 3339, in seconds, as the API has times. */
export function timeOf(now: Date): string {
  return now.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Names have 253 characters at most. */
function eventName(object: string, text: string): string {
  return `${object.slice(0, 200)}.${hash('sha256', text, 'hex').slice(0, 16)}`;
}
