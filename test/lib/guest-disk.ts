import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Content of a file; `{ link }` for a symbolic link, `{ dir: true }` for an empty directory, `{ fifo: true }`. */
export type Node = string | { readonly link: string } | { readonly dir: true } | { readonly fifo: true };

export interface VolumeSpec {
  readonly tree?: { readonly [path: string]: Node };
  /** Bytes; default 2 MiB. */
  readonly size?: number;
  readonly type?: "ext2" | "ext3" | "ext4";
  readonly options?: readonly string[];
  /** Requests for debugfs, which may write. */
  readonly debugfs?: readonly string[];
}

/** Makes volumes and disks under one folder, with the tools that make real ones. */
export class DiskMaker {
  readonly #folder: string;
  #count = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  file(name = "disk"): string {
    this.#count += 1;
    return join(this.#folder, `${this.#count}-${name}.img`);
  }

  /** An ext volume made by mke2fs; its bytes. */
  ext(spec: VolumeSpec = {}): Uint8Array {
    const image = this.file("ext");
    const tree = `${image}.d`;
    mkdirSync(tree);
    for (const [path, node] of Object.entries(spec.tree ?? {})) {
      const place = join(tree, path);
      mkdirSync(dirname(place), { recursive: true });
      if (typeof node === "string") writeFileSync(place, node);
      else if ("link" in node) symlinkSync(node.link, place);
      else if ("fifo" in node) execFileSync("mkfifo", [place]);
      else mkdirSync(place, { recursive: true });
    }
    const { size = 2 << 20, type = "ext4", options = [] } = spec;
    writeFileSync(image, new Uint8Array(size));
    execFileSync("mke2fs", ["-q", "-F", "-t", type, ...options, "-d", tree, image], { stdio: "pipe" });
    for (const request of spec.debugfs ?? []) execFileSync("debugfs", ["-w", "-R", request, image], { stdio: "pipe" });
    return new Uint8Array(readFileSync(image));
  }

  /**
   * A disk partitioned by sfdisk.
   *
   * @param script Lines for sfdisk, the label first.
   * @param volumes Byte offset of each volume.
   */
  disk(size: number, script: readonly string[], volumes: ReadonlyMap<number, Uint8Array> = new Map()): string {
    const image = this.file();
    writeFileSync(image, new Uint8Array(size));
    execFileSync("sfdisk", ["-q", image], { input: `${script.join("\n")}\n`, stdio: "pipe" });
    if (volumes.size > 0) {
      const bytes = readFileSync(image);
      for (const [offset, volume] of volumes) bytes.set(volume, offset);
      writeFileSync(image, bytes);
    }
    return image;
  }

  /** A file of these bytes. */
  write(bytes: Uint8Array, name?: string): string {
    const image = this.file(name);
    writeFileSync(image, bytes);
    return image;
  }

  /** Changes the bytes of a file. */
  edit(file: string, change: (bytes: Buffer) => void): string {
    const bytes = readFileSync(file);
    change(bytes);
    writeFileSync(file, bytes);
    return file;
  }
}
