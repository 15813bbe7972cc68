// @ts-check
/**
 * Its platform: Date has the wall clock in whole milliseconds; performance has fractions, but counts from
 * the start of the process. In a double today's milliseconds have a quarter of a microsecond.
 */
let origin = performance.timeOrigin;

/** @returns {number} milliseconds since 1970, with fractions */
export function now() {
  const time = origin + performance.now();
  // At most a millisecond, unless somebody has set the clock meanwhile.
  const ahead = time - Date.now();
  if (ahead >= -1 && ahead <= 2) return time;
  origin -= ahead;
  return time - ahead;
}
