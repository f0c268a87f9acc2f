/**
 * What may not be known yet, as a type of its own: never undefined, and never empty. A part that gets an input that is
 * not known says what it does then: keep, refuse or wait.
 */

/** `since` is RFC 3339; `why` is the cause, in words that end no sentence. */
export type Unknown = { readonly known: false; readonly since: string; readonly why: string };

export type Known<T extends object> = Unknown | ({ readonly known: true } & T);

export function notKnown(since: Date, why: string): Unknown {
  return { known: false, since: since.toISOString(), why };
}
