import { type ErrorCode, isImageError } from "@guestprobe/block";

/** The exit codes that scripts rely on. */
export const EXIT = {
  yes: 0,
  no: 1,
  usage: 2,
  cannotTell: 3,
  damaged: 4,
  host: 5,
  someFailed: 6,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The command line itself is wrong. The message says what, `next` what to do instead. */
export class UsageError extends Error {
  readonly next: readonly string[];
  constructor(message: string, next: readonly string[] = []) {
    super(message);
    this.name = "UsageError";
    this.next = next;
  }
}

const EXIT_OF: Record<ErrorCode, ExitCode> = {
  "past-end": EXIT.damaged,
  io: EXIT.host,
  aborted: EXIT.damaged,
  "not-this-format": EXIT.cannotTell,
  corrupt: EXIT.damaged,
  "bad-checksum": EXIT.damaged,
  unsupported: EXIT.cannotTell,
  encrypted: EXIT.cannotTell,
  limit: EXIT.damaged,
  "not-found": EXIT.no,
  "not-a-directory": EXIT.no,
  "is-a-directory": EXIT.no,
  "not-a-symlink": EXIT.no,
  "symlink-loop": EXIT.no,
  "invalid-argument": EXIT.usage,
};

/** The exit code that an error stands for. */
export function exitCodeOf(error: unknown): ExitCode {
  if (isImageError(error)) return EXIT_OF[error.code];
  return error instanceof UsageError ? EXIT.usage : EXIT.host;
}
