import { errorsOf } from "@guestprobe/block";

export const FORMAT = "vfat";

export const { placeOf, corrupt, failure } = errorsOf(FORMAT);

export const hex = (value: number): string => `0x${value.toString(16)}`;
