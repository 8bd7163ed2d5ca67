import type { Entry } from "@guestprobe/vfs";

export interface VolumeOptions {
  readonly count?: number;
  readonly mib?: number;
  readonly args?: readonly string[];
}

export function makeVolume(folder: string, options: VolumeOptions): string[];
export function withBtrfs<T>(images: readonly string[], options: readonly string[], use: (point: string) => T): T;
export function btrfsView(point: string, options?: { readonly hash?: boolean }): Partial<Entry>[];
export function noise(seed: string, length: number): Buffer;
export function prose(seed: string, length: number): Buffer;
export function populate(base: string, options?: { readonly noiseSize?: number; readonly proseSize?: number }): void;
export function populateSubvolumes(point: string): void;
