import { errorsOf } from "@guestprobe/block";

export const FORMAT = "iso9660";

export const { placeOf, corrupt, failure } = errorsOf(FORMAT);
