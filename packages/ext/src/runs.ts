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

  add(first: number, count: number, physical: number | undefined, unwritten = false): void {
    if (count <= 0) return;
    const last = this.runs[this.runs.length - 1];
    if (last !== undefined && last.unwritten === unwritten && follows(last, first, physical)) {
      this.runs[this.runs.length - 1] = { ...last, count: last.count + count };
    } else {
      this.runs.push({ first, count, physical, unwritten });
    }
  }
}

/** Whether a run goes on where the last one ends, both in the file and on the disk: a hole may lie between. */
const follows = (last: Run, first: number, physical: number | undefined): boolean =>
  first === last.first + last.count &&
  (last.physical === undefined ? physical === undefined : physical === last.physical + last.count);
