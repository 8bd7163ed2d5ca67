import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachedDevice, countReads, encodeText, isImageError } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node/index.ts";
import { squashfs } from "@guestprobe/squashfs";
import { resolve, walkAll } from "@guestprobe/vfs";
import { conformanceCases, type ExpectedVolume, readEntry } from "@guestprobe/vfs/conformance.ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kernelView, kernelXattrs, run, withMount } from "../lib/kernel-view.mjs";
import { Random } from "../lib/random.js";
import { sha256 } from "../lib/sha256.js";
