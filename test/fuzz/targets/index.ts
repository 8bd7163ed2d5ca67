import type { Target } from "../lib/target.js";
import { CODEC_TARGETS } from "./codecs.js";
import { COMMAND_TARGETS } from "./command.js";
import { DISK_TARGETS } from "./disks.js";
import { MAPPED_TARGETS } from "./mapped.js";
import { SIGNATURE_TARGETS } from "./signatures.js";
import { TEXT_TARGETS } from "./texts.js";
import { VOLUME_TARGETS } from "./volumes.js";

/** Every reader and parser, each once, and the command that is made of them. */
export const TARGETS: readonly Target[] = [
  ...VOLUME_TARGETS,
  ...MAPPED_TARGETS,
  ...DISK_TARGETS,
  ...SIGNATURE_TARGETS,
  ...CODEC_TARGETS,
  ...TEXT_TARGETS,
  ...COMMAND_TARGETS,
];
