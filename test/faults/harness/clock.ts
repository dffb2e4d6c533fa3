/**
 * Epoch ms that never step: all processes of a test share the machine, so their times can be compared, also while a
 * test moves a wall clock.
 */
export function steadyNowMs(): number {
  return performance.timeOrigin + performance.now();
}
