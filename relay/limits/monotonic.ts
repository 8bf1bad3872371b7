/** Milliseconds on a clock that never goes back and means nothing but differences. */
export type Monotonic = () => number;
