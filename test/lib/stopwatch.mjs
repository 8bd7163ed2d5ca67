/**
 * Starts a watch; what it answers tells the milliseconds since then, by the clock or by this process's processor time,
 * whichever is less: what else the machine does prolongs the one, threads that collect garbage beside the work the other.
 *
 * @returns {() => number}
 */
export function stopwatch() {
  const clock = performance.now();
  const cpu = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return Math.min(performance.now() - clock, (user + system) / 1000);
  };
}
