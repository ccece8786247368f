package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"runtime"
	"strings"
	"time"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
	indexType    = "application/vnd.oci.image.index.v1+json"
)

const accounts = `root:x:0:0:root:/root:/bin/sh
user:x:1000:1000:user:/tmp:/bin/sh
nobody:x:65534:65534:nobody:/tmp:/bin/sh
`

// The same sources give the same bytes, and so the same image ids.
var epoch = time.Unix(0, 0)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

// writeImages puts the images of the tests into one archive, an OCI layout that `ctr images import` reads. No registry
// takes part: `images ARCHIVE BUSYBOX PAUSE`, the latter two are static programs.
//
//   - runner.test/shell:1: busybox with a link for each of its commands
//   - runner.test/pause:1: holds the namespaces of a pod
func writeImages(arguments []string) error {
	if len(arguments) != 3 {
		return fmt.Errorf("expected `ARCHIVE BUSYBOX PAUSE`")
	}
	archive, busybox, pause := arguments[0], arguments[1], arguments[2]
	shellLayer, err := shell(busybox)
	if err != nil {
		return err
	}
	pauseLayer, err := single("pause", pause)
	if err != nil {
		return err
	}
	layout := newArchive()
	var manifests []descriptor
	for _, image := range []struct {
		name  string
		layer []byte
		start map[string]any
	}{
		{"runner.test/shell:1", shellLayer, map[string]any{"Cmd": []string{"/bin/sh"}, "Env": []string{"PATH=/bin"}}},
		{"runner.test/pause:1", pauseLayer, map[string]any{"Entrypoint": []string{"/pause"}}},
	} {
		manifest, err := layout.image(image.name, image.layer, image.start)
		if err != nil {
			return err
		}
		manifests = append(manifests, manifest)
	}
	if err := layout.json("oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"}); err != nil {
		return err
	}
	if err := layout.json("index.json", map[string]any{
		"schemaVersion": 2, "mediaType": indexType, "manifests": manifests,
	}); err != nil {
		return err
	}
	content, err := layout.bytes()
	if err != nil {
		return err
	}
	return os.WriteFile(archive, content, 0o600)
}

// shell is a root file system with busybox, its links, a few accounts and a place for temporary files.
func shell(busybox string) ([]byte, error) {
	listed, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("`%s --list`: %w", busybox, err)
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	layer := newArchive()
	for _, folder := range []struct {
		name string
		mode int64
	}{{"bin", 0o755}, {"etc", 0o755}, {"root", 0o700}, {"tmp", 0o1777}, {"var", 0o755}} {
		layer.add(&tar.Header{Typeflag: tar.TypeDir, Name: folder.name + "/", Mode: folder.mode}, nil)
	}
	layer.file("bin/busybox", 0o755, program)
	for _, command := range strings.Fields(string(listed)) {
		if command != "busybox" {
			layer.add(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + command, Linkname: "busybox"}, nil)
		}
	}
	layer.file("etc/passwd", 0o644, []byte(accounts))
	layer.file("etc/group", 0o644, []byte("root:x:0:\nuser:x:1000:\nnobody:x:65534:\n"))
	return layer.bytes()
}

// single is a root file system of one program.
func single(name, program string) ([]byte, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	layer := newArchive()
	layer.file(name, 0o755, content)
	return layer.bytes()
}

// A tar archive in memory; the first error is kept until it is closed.
type archive struct {
	buffer bytes.Buffer
	tar    *tar.Writer
	err    error
}

func newArchive() *archive {
	archive := &archive{}
	archive.tar = tar.NewWriter(&archive.buffer)
	return archive
}

func (a *archive) add(header *tar.Header, content []byte) {
	header.ModTime = epoch
	header.Size = int64(len(content))
	if a.err == nil {
		a.err = a.tar.WriteHeader(header)
	}
	if a.err == nil {
		_, a.err = a.tar.Write(content)
	}
}

func (a *archive) file(name string, mode int64, content []byte) {
	a.add(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode}, content)
}

func (a *archive) json(name string, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return err
	}
	a.file(name, 0o644, content)
	return nil
}

func (a *archive) blob(mediaType string, content []byte) descriptor {
	digest := digest(content)
	a.file(path.Join("blobs", strings.Replace(digest, ":", "/", 1)), 0o644, content)
	return descriptor{MediaType: mediaType, Digest: digest, Size: len(content)}
}

// image adds an image of one layer and returns the entry of the index that names it.
func (a *archive) image(name string, content []byte, start map[string]any) (descriptor, error) {
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": runtime.GOOS, "config": start,
		"rootfs": rootFS{"layers", []string{digest(content)}},
	})
	if err != nil {
		return descriptor{}, err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": a.blob(configType, config), "layers": []descriptor{a.blob(layerType, content)},
	})
	if err != nil {
		return descriptor{}, err
	}
	entry := a.blob(manifestType, manifest)
	entry.Annotations = map[string]string{"io.containerd.image.name": name}
	return entry, nil
}

func (a *archive) bytes() ([]byte, error) {
	if a.err != nil {
		return nil, a.err
	}
	if err := a.tar.Close(); err != nil {
		return nil, err
	}
	return a.buffer.Bytes(), nil
}

func digest(content []byte) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(content))
}
