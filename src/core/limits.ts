export const NAME_LENGTH = 200;
export const WORD_LENGTH = 100;
export const IDENTITY_LENGTH = 1_000;
export const CONTENT_BYTES = 1024 * 1024;

/** Body of a request. JSON escapes make content six times longer at worst. */
export const BODY_BYTES = 6 * CONTENT_BYTES + 64 * 1024;

/** Messages per read, at most. A read also ends once it holds BATCH_BYTES of content. */
export const BATCH_MESSAGES = 1_000;
export const BATCH_BYTES = 8 * CONTENT_BYTES;

/** Default length of a wait over a network, and the most it may ask for. */
export const WAIT_SECONDS = 30;
export const MAX_WAIT_SECONDS = 300;

/** Ended commands and gone sessions can be looked up for this long. */
export const KEPT_SECONDS = 7 * 24 * 3_600;

/** Allowed difference between a signed request's time and the bus's. */
export const STAMP_TOLERANCE_SECONDS = 300;

/** Default lifetime of a token, and the longest. */
export const TOKEN_SECONDS = 3_600;
