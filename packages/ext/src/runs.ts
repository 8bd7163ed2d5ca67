/** Where a run of a file's blocks lies. Runs that are given together follow each other without a gap. */
export interface Run {
  /** First block of the file. */
  readonly first: number;
  /** Blocks. */
  readonly count: number;
  /** First block of the volume; undefined for a hole. */
  readonly physical: number | undefined;
  /** Allocated, but reads as zeros. */
  readonly unwritten: boolean;
}

/** Collects runs in file order and joins those that are one on the disk. */
export class RunList {
  readonly runs: Run[] = [];
  /** By itself: to look before the beginning of an array is slow. */
  #last: Run | undefined;

  add(first: number, count: number, physical: number | undefined, unwritten = false): void {
    if (count <= 0) return;
    const last = this.#last;
    if (last !== undefined && last.unwritten === unwritten && follows(last, first, physical)) {
      this.#last = { first: last.first, count: last.count + count, physical: last.physical, unwritten };
      this.runs[this.runs.length - 1] = this.#last;
    } else {
      this.#last = { first, count, physical, unwritten };
      this.runs.push(this.#last);
    }
  }
}

/** Whether a run goes on where the last one ends, both in the file and on the disk: a hole may lie between. */
const follows = (last: Run, first: number, physical: number | undefined): boolean =>
  first === last.first + last.count &&
  (last.physical === undefined ? physical === undefined : physical === last.physical + last.count);
