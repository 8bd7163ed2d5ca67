/** Works at first, and among so many later, that go both ways in turn. */
const FIRST_TRIALS = 8;
const TRIALS = 2;
const PERIOD = 256;

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
    const isSecond = this.#next();
    const start = this.#now();
    await work(isSecond);
    const cost = (this.#now() - start) / units;
    const way = Number(isSecond) as 0 | 1;
    const before = this.#costs[way];
    this.#costs[way] = before === undefined ? cost : before * 0.75 + cost * 0.25;
  }

  #next(): boolean {
    const trials = this.#works < PERIOD ? FIRST_TRIALS : TRIALS;
    const at = this.#works % PERIOD;
    this.#works += 1;
    if (at < trials) return at % 2 === 1;
    const [first = Infinity, second = Infinity] = this.#costs;
    return second < first;
  }
}
