// @ts-check
/**
 * Its platform: Date has the wall clock in whole milliseconds; performance has fractions, but counts from
 * the start of the process. In a double today's milliseconds have a quarter of a microsecond.
 */
let origin = atTick();

/**
 * performance.timeOrigin can be most of a millisecond off; a tick of Date is not, if we see it in time:
 * one that is seen late gives an origin too early, so the latest of some counts.
 * @returns {number} when performance began to count, in milliseconds since 1970
 */
function atTick() {
  let origin = 0;
  for (let ticks = 0; ticks < 2; ticks += 1) {
    const before = Date.now();
    let tick = before;
    while (tick === before) tick = Date.now();
    origin = Math.max(origin, tick - performance.now());
  }
  return origin;
}

/** @returns {number} milliseconds since 1970, with fractions */
export function now() {
  const time = origin + performance.now();
  // Up to a millisecond, since Date leaves that out, unless somebody has set the clock meanwhile.
  const ahead = time - Date.now();
  if (ahead >= 0 && ahead <= 2) return time;
  origin -= ahead;
  return time - ahead;
}
