import type { Target } from "../lib/target.js";
import { CODEC_TARGETS } from "./codecs.js";
import { DISK_TARGETS } from "./disks.js";
import { TEXT_TARGETS } from "./texts.js";
import { VOLUME_TARGETS } from "./volumes.js";

/** Every reader and parser, each once. */
export const TARGETS: readonly Target[] = [...VOLUME_TARGETS, ...DISK_TARGETS, ...CODEC_TARGETS, ...TEXT_TARGETS];
