import { equalBytes } from "@guestprobe/block";
import type { Dirent } from "@guestprobe/vfs";
import { foldName } from "./casefold.js";
import { hashName, type NameHash } from "./dir-hash.js";
import type { RawDirent } from "./directory.js";
import { INCOMPAT } from "./features.js";
import type { DecodedInode } from "./inode.js";
import { DX_HASH_LEGACY_UNSIGNED, DX_HASH_TEA, EXT4_CASEFOLD_FL, EXT4_ENCRYPT_FL } from "./layout.js";
import { noKeyName } from "./no-key-name.js";
import type { Superblock } from "./superblock.js";

/** How to find one name in a directory. */
export interface NameQuery {
  matches(entry: RawDirent): boolean;
  /** Where an index of this version has the name; undefined where the index is of no help. */
  hash(version: number): NameHash | undefined;
  /** Whether a name that the index leads nowhere for is surely absent. */
  readonly trustsIndex: boolean;
}

/** What the names of one directory are, and how they are compared. */
export interface NameRules {
  /** The entry with its name as the kernel shows it; undefined for one that no path can hold. */
  shown(entry: RawDirent): Dirent | undefined;
  query(name: Uint8Array): NameQuery;
}

/** The version of hash that the volume uses, with its signedness: what the kernel adds to `hash_version`. */
export function signedVersion(sb: Superblock, version: number): number {
  return version <= DX_HASH_TEA && sb.unsignedHash ? version + DX_HASH_LEGACY_UNSIGNED : version;
}

/**
 * The rules for one directory.
 *
 * @param hashVersion Of the directory's index, or the volume's default where there is none: part of encrypted names.
 */
export function nameRules(sb: Superblock, inode: DecodedInode, hashVersion: number): NameRules {
  if ((inode.flags & EXT4_ENCRYPT_FL) !== 0) return encryptedNames(sb, hashVersion);
  const folds = (inode.flags & EXT4_CASEFOLD_FL) !== 0 && (sb.incompat & INCOMPAT.casefold) !== 0;
  const shown = (entry: RawDirent) => (entry.isPossible ? entry : undefined);
  return { shown, query: (name) => (folds ? foldedQuery(sb, name) : exactQuery(sb, name)) };
}

const versionedHash = (sb: Superblock, name: Uint8Array, version: number): NameHash | undefined =>
  hashName(name, signedVersion(sb, version), sb.hashSeed);

function exactQuery(sb: Superblock, name: Uint8Array): NameQuery {
  return {
    matches: (entry) => entry.hasName(name),
    hash: (version) => versionedHash(sb, name, version),
    trustsIndex: true,
  };
}

function foldedQuery(sb: Superblock, name: Uint8Array): NameQuery {
  const folded = foldName(name);
  if (folded === undefined) return exactQuery(sb, name);
  return {
    matches(entry) {
      if (entry.hasName(name)) return true;
      const other = foldName(entry.name);
      return other !== undefined && equalBytes(other, folded);
    },
    hash: (version) => versionedHash(sb, folded, version),
    // Folding of ASCII is certain; other tables of Unicode than the writer's might lead to another leaf.
    trustsIndex: name.every((byte) => byte < 0x80),
  };
}

/** Names that the kernel shows encoded while it has no key. Their hash is of the ciphertext, or stored beside it. */
function encryptedNames(sb: Superblock, hashVersion: number): NameRules {
  const none = { hash: 0, minor: 0 };
  const nameOf = (entry: RawDirent): Uint8Array | undefined => {
    const [hash, minor] = entry.hash ?? [];
    const stored = hash === undefined || minor === undefined ? undefined : { hash, minor };
    return noKeyName(entry.name, stored ?? versionedHash(sb, entry.name, hashVersion) ?? none);
  };
  const shown = (entry: RawDirent): Dirent | undefined => {
    const name = nameOf(entry);
    return name && { name, ino: entry.ino, type: entry.type, ref: entry.ref };
  };
  const query = (name: Uint8Array): NameQuery => ({
    matches(entry) {
      const other = nameOf(entry);
      return other !== undefined && equalBytes(other, name);
    },
    hash: () => undefined,
    trustsIndex: false,
  });
  return { shown, query };
}
