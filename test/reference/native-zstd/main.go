// Decodes zstd frames with the decoder in Go, by the protocol of native-codec.py.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	in := bufio.NewReader(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	_, err := in.ReadString('\n')
	check(err)
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(1<<32))
	check(err)
	var header [8]byte
	for {
		if _, err := io.ReadFull(in, header[:]); err == io.EOF {
			break
		} else {
			check(err)
		}
		size := binary.LittleEndian.Uint32(header[:4])
		data := make([]byte, binary.LittleEndian.Uint32(header[4:]))
		_, err := io.ReadFull(in, data)
		check(err)
		plain, err := decoder.DecodeAll(data, make([]byte, 0, size))
		sum := sha256.Sum256(plain)
		length := int32(len(plain))
		if err != nil || uint32(length) != size {
			length, sum = -1, [32]byte{}
		}
		check(binary.Write(out, binary.LittleEndian, length))
		check(binary.Write(out, binary.LittleEndian, sum))
	}
	check(out.Flush())
}
