/** Works at first, and among so many later, that go both ways in turn. */
const FIRST_TRIALS = 8;
const TRIALS = 2;
const PERIOD = 256;
/**
 * A work during which somebody else had the processor may take a hundred times as long as all others. It must not have the faster
 * way given up until as many later ones have made up for it.
 */
const MOST_RISE = 1.1;

/** Chooses between two ways of doing the same work by the time that each of them took of late. */
export class FasterWay {
  readonly #now: () => number;
  #works = 0;
  /** Milliseconds for each unit of work, the later ones counting for more. */
  readonly #costs: [number | undefined, number | undefined] = [undefined, undefined];

  /** `now` answers milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Does `units` of work, the second way where `isSecond`; work that failed says nothing of its way. */
  async run(units: number, work: (isSecond: boolean) => Promise<void>): Promise<void> {
    const isSecond = this.#isSecondNext();
    this.#works += 1;
    const start = this.#now();
    await work(isSecond);
    this.#note(isSecond ? 1 : 0, (this.#now() - start) / units);
  }

  /**
   * The same for the first way, where it needs no waiting; undefined, and nothing is done, where the second is to be gone. Work that
   * answers undefined failed.
   */
  runNow<T>(units: number, work: () => T): T | undefined {
    if (this.#isSecondNext()) return undefined;
    this.#works += 1;
    const start = this.#now();
    const result = work();
    if (result !== undefined) this.#note(0, (this.#now() - start) / units);
    return result;
  }

  #note(way: 0 | 1, cost: number): void {
    const before = this.#costs[way];
    this.#costs[way] = before === undefined ? cost : Math.min(before * 0.75 + cost * 0.25, before * MOST_RISE);
  }

  #isSecondNext(): boolean {
    const trials = this.#works < PERIOD ? FIRST_TRIALS : TRIALS;
    const at = this.#works % PERIOD;
    if (at < trials) return at % 2 === 1;
    const [first = Infinity, second = Infinity] = this.#costs;
    return second < first;
  }
}
