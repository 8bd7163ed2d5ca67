/** What is measured: each task with our way, those of the peers, and the ratios that are wanted. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { main } from "./command.mjs";
import { MOUNTED, SQUASHED, withMount } from "./images.mjs";
import { inProcess, timeCommand } from "./measure.mjs";
import { list, probe, read, readHost } from "./ours.mjs";

/** Calls after which a process is warm: by then V8 has compiled what is called often, and times no longer fall. */
const WARM_PROBES = 60;
const WARM_ROUNDS = 15;

const command =
  (...words) =>
  () =>
    timeCommand(words);
const PYTHON = "/usr/bin/python3";
const byExt2fs = fileURLToPath(new URL("ext2fs-probe.mjs", import.meta.url));
const byGuestfs = fileURLToPath(new URL("probe-guestfs.py", import.meta.url));
const byLibfs = fileURLToPath(new URL("probe-libfs.py", import.meta.url));
const guestprobe = (...words) => command(main, ...words);
const shell = (script, ...words) => command("sh", "-c", script, "sh", ...words);
/** Mounts, reads, and takes the mount away again. */
const throughFuse = (program, image) =>
  shell(
    `d=$(mktemp -d); ${program} "$1" "$d" && cat "$d/large" >/dev/null; s=$?; umount "$d"; rmdir "$d"; exit $s`,
    image,
  );
const BOOT = ["boot/xen", "xen"].flatMap((dir) => [`/${dir}/pvboot-x86_64.elf`, `/${dir}/pvboot-i386.elf`]);
const CONFIG = ["boot/grub", "grub"].flatMap((dir) => [`/${dir}/grub.cfg`, `/${dir}/menu.lst`]);
const EIGHT = [...BOOT, ...CONFIG];
/** Where the first partition of the disk of three volumes begins, ext4: sectors. */
const FIRST_SECTOR = 2048;

const has = (program) => {
  try {
    execFileSync("which", [program], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};

/** Contenders whose program is there; the others show as "cannot". */
const peers = (all) =>
  Object.fromEntries(
    Object.entries(all).map(([name, [program, run]]) => [
      name,
      has(program) ? run : () => Promise.reject(new Error(`${program} is not installed`)),
    ]),
  );

/** Where a contender has no way to do a task. */
const cannot = (reason) => () => Promise.reject(new Error(reason));

/** Whether Debian's Python has these modules. */
const hasModules = (...names) => {
  try {
    execFileSync(PYTHON, ["-c", `import ${names.join(",")}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};

/**
 * Peers that start a virtual machine. The first of all makes the machine's own disk, which is kept, and is not measured. Where
 * LIBGUESTFS_BACKEND_SETTINGS says nothing, without KVM, which hangs where it is there in name only.
 */
function guestfsPeers(image) {
  const env =
    'LIBGUESTFS_BACKEND_SETTINGS="${LIBGUESTFS_BACKEND_SETTINGS-force_tcg}"; export LIBGUESTFS_BACKEND_SETTINGS';
  const words = [1, 2, 3].flatMap((n) => [
    `mount-ro /dev/sda${n} /`,
    ...EIGHT.map((path) => `is-file ${path}`),
    "umount /",
  ]);
  const ask = `${env}; printf "%s\\n" run "$@" | LC_ALL=C guestfish --ro --format=raw -a "$image" | grep -c true`;
  const once = (run) => Object.assign(run, { isSlow: true });
  const guestfish = once(shell(`image=$1; shift; ${ask}`, image, ...words));
  try {
    if (has("guestfish")) execFileSync("sh", ["-c", `${env}; guestfish --ro -a /dev/null run`], { stdio: "ignore" });
  } catch {
    // The contender itself shows that it cannot.
  }
  return {
    ...peers({ guestfish: ["guestfish", guestfish] }),
    "guestfs, Python": hasModules("guestfs")
      ? once(shell(`${env}; exec "$@"`, PYTHON, byGuestfs, image, ...EIGHT))
      : cannot("python3-guestfs is not installed"),
  };
}

function probeTask(images) {
  const image = images.threeVolumes();
  const fstest = EIGHT.map((path) => `grub-fstest "$1" ls "(loop0,msdos$n)${path}" >/dev/null 2>&1`).join("; ");
  return {
    name: "probe",
    title: "eight boot paths of a disk with ext4, XFS and btrfs",
    contenders: {
      "guestprobe, process": guestprobe("search", image),
      "guestprobe, warm": inProcess(WARM_PROBES, "probe", image),
      "node -e 0": command(process.execPath, "-e", "0"),
      // Of which the command itself reads none.
      ...(process.env.NODE_EXTRA_CA_CERTS
        ? { "node -e 0, no extra certificates": command("env", "NODE_EXTRA_CA_CERTS=", process.execPath, "-e", "0") }
        : {}),
      "npm ext2fs, ext4 alone": command(process.execPath, byExt2fs, image, String(FIRST_SECTOR * 512), ...EIGHT),
      ...peers({
        "grub-fstest, one path": ["grub-fstest", command("grub-fstest", image, "ls", "(loop0,msdos1)/boot/grub/")],
        "grub-fstest, all": ["grub-fstest", shell(`for n in 1 2 3; do ${fstest}; done; true`, image)],
        "fls, ext4 alone": ["fls", command("fls", "-o", String(FIRST_SECTOR), "-rp", image)],
      }),
      "libfsext and libfsxfs, Python, no btrfs": hasModules("pyfsext", "pyfsxfs")
        ? command(PYTHON, byLibfs, image, ...EIGHT)
        : cannot("python3-libfsext or python3-libfsxfs is not installed"),
      ...guestfsPeers(image),
    },
    targets: [
      { ours: "guestprobe, process", than: "node -e 0", atMost: 1.6 },
      { ours: "guestprobe, process", than: "guestfish", faster: 50 },
      { ours: "guestprobe, process", than: "guestfs, Python", faster: 1.5 },
      { ours: "guestprobe, warm", than: "grub-fstest, all", faster: 20 },
    ],
    counts: async () => {
      const { answer, reads, bytes } = await probe(image);
      return { hits: answer, reads, bytes };
    },
  };
}

function listTask(images, kind, mount) {
  const image = images.volume(kind);
  const isMounted = mount !== undefined;
  return {
    name: `list-${kind}`,
    title: `${kind}: 70,000 entries with stat`,
    contenders: {
      "guestprobe, warm": inProcess(WARM_ROUNDS, "list", image),
      "guestprobe find, process": guestprobe("find", "-0", image, "/"),
      ...(kind === "ext4" ? { "npm ext2fs": inProcess(WARM_ROUNDS, "listByExt2fs", image) } : {}),
      ...peers({
        "find, kernel mount": isMounted
          ? ["find", command("find", mount, "-printf", "%s %m %p\\n")]
          : ["find", cannot("not mounted")],
        "7z l": ["7z", command("7z", "l", image)],
        "fls -rl": ["fls", command("fls", "-rlp", image)],
        ...(kind === "ext4" ? { "debugfs ls": ["debugfs", command("debugfs", "-R", "ls -l /crowd", image)] } : {}),
        ...(kind.startsWith("squashfs")
          ? { "unsquashfs -ll": ["unsquashfs", command("unsquashfs", "-ll", image)] }
          : {}),
      }),
    },
    targets: [
      { ours: "guestprobe, warm", than: "find, kernel mount", faster: 3 },
      { ours: "guestprobe, warm", than: "7z l", faster: 3 },
      { ours: "guestprobe find, process", than: "find, kernel mount", faster: 1.5 },
    ],
    counts: async () => {
      const { answer, reads, bytes } = await list(image);
      return { entries: answer, reads, bytes };
    },
  };
}

async function readTask(images, kind, mount) {
  const image = images.volume(kind);
  const ours = (await read(image, "/large", true)).answer;
  if (mount !== undefined && ours !== readHost(`${mount}/large`, true)) throw new Error(`${kind}: wrong content`);
  return {
    name: `read-${kind}`,
    title: `${kind}: one file of 256 MiB`,
    contenders: {
      "guestprobe, warm": inProcess(WARM_ROUNDS, "read", image, "/large"),
      ...(mount === undefined ? {} : { "Node, kernel mount": inProcess(WARM_ROUNDS, "readHost", `${mount}/large`) }),
      "guestprobe cat, process": guestprobe("cat", image, "/large"),
      ...(kind === "ext4" ? { "npm ext2fs": inProcess(WARM_ROUNDS, "readByExt2fs", image, "/large") } : {}),
      ...peers({
        "7z e": ["7z", shell('7z e -so "$1" large', image)],
        ...(kind.startsWith("squashfs")
          ? { squashfuse: ["squashfuse", throughFuse("squashfuse", image)] }
          : { "grub-mount": ["grub-mount", throughFuse("grub-mount", image)] }),
        ...(kind === "ext4"
          ? {
              "debugfs cat": ["debugfs", command("debugfs", "-R", "cat /large", image)],
              "grub-fstest crc": ["grub-fstest", command("grub-fstest", image, "crc", "(loop0)/large")],
            }
          : {}),
        ...(kind.startsWith("btrfs")
          ? {
              "btrfs restore": [
                "btrfs",
                shell(
                  'd=$(mktemp -d); btrfs restore --path-regex "^/(|large)$" "$1" "$d" && test -s "$d/large"; s=$?; rm -r "$d"; exit $s',
                  images.unmounted(kind),
                ),
              ],
            }
          : {}),
        ...(kind.startsWith("squashfs")
          ? { "unsquashfs -cat": ["unsquashfs", command("unsquashfs", "-cat", image, "large")] }
          : {}),
      }),
    },
    targets: [
      { ours: "guestprobe, warm", than: mount === undefined ? "unsquashfs -cat" : "Node, kernel mount", faster: 1 },
    ],
  };
}

function manifestTask(images, kind, mount) {
  const image = images.volume(kind);
  return {
    name: `manifest-${kind}`,
    title: `${kind}: SHA-256 of 20,000 small files`,
    contenders: {
      "guestprobe manifest, process": guestprobe("manifest", image, "/small"),
      "find | xargs sha256sum": shell('find "$1" -type f -print0 | xargs -0 sha256sum', `${mount}/small`),
    },
    targets: [{ ours: "guestprobe manifest, process", than: "find | xargs sha256sum", faster: 1.5 }],
  };
}

/** Runs `each` for every task of which `wanted` says that it is asked for, its volumes mounted meanwhile. */
export async function forEachTask(images, wanted, each) {
  if (wanted("probe")) await each(probeTask(images));
  for (const kind of [...MOUNTED, ...SQUASHED]) {
    if (!["list", "read", "manifest"].some((task) => wanted(`${task}-${kind}`))) continue;
    await withMount(images.volume(kind), ["-o", kind === "xfs" ? "loop,ro,norecovery" : "loop,ro"], async (mount) => {
      if (wanted(`list-${kind}`)) await each(listTask(images, kind, mount));
      if (wanted(`read-${kind}`))
        await each(await readTask(images, kind, kind.startsWith("squashfs") ? undefined : mount));
      if (wanted(`manifest-${kind}`)) await each(manifestTask(images, kind, mount));
    });
  }
}
