/** Documents of an OCI image (image-spec v1.1): configuration, manifest, index. Equal input gives equal bytes. */
import { createHash } from 'node:crypto';

export type Layer = {
  /** As it is kept: compressed. */
  digest: string;
  /** Bytes, compressed. */
  size: number;
  /** Of the archive before it was compressed. */
  diffId: string;
};

export type Image = {
  /** `localhost/fairlead:0.1.0`. */
  reference: string;
  architecture: string;
  version: string;
  /** Seconds since 1970. */
  created: number;
  entrypoint: readonly string[];
  layer: Layer;
};

/** A document under the name that its content gives it. */
export type Blob = { digest: string; text: string };

const MEDIA = 'application/vnd.oci.image';

export const LAYOUT = JSON.stringify({ imageLayoutVersion: '1.0.0' });

/** @returns the blobs beside the layer, and the text of index.json. */
export function documentsOf(image: Image): { blobs: Blob[]; index: string } {
  const { reference, architecture, layer } = image;
  const configuration = blob(configurationOf(image));
  const manifest = blob({
    schemaVersion: 2,
    mediaType: `${MEDIA}.manifest.v1+json`,
    config: descriptor(`${MEDIA}.config.v1+json`, configuration.digest, configuration.text.length),
    layers: [descriptor(`${MEDIA}.layer.v1.tar+gzip`, layer.digest, layer.size)],
    annotations: labelsOf(image),
  });
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: `${MEDIA}.index.v1+json`,
    manifests: [
      {
        ...descriptor(`${MEDIA}.manifest.v1+json`, manifest.digest, manifest.text.length),
        platform: { architecture, os: 'linux' },
        // The first name is for podman and skopeo, the second for containerd.
        annotations: {
          'org.opencontainers.image.ref.name': reference,
          'io.containerd.image.name': reference,
        },
      },
    ],
  });
  return { blobs: [configuration, manifest], index };
}

export function sha256(content: string | Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** Where a blob lies in the layout. */
export function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

function configurationOf({ architecture, created, entrypoint, layer, ...image }: Image): object {
  const time = new Date(created * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    created: time,
    architecture,
    os: 'linux',
    config: {
      Env: ['PATH=/usr/sbin:/usr/bin'],
      Entrypoint: entrypoint,
      WorkingDir: '/',
      Labels: labelsOf(image),
    },
    rootfs: { type: 'layers', diff_ids: [layer.diffId] },
    history: [{ created: time, created_by: 'npm run image' }],
  };
}

function labelsOf({ version }: Pick<Image, 'version'>): Record<string, string> {
  return {
    'org.opencontainers.image.title': 'Fairlead',
    'org.opencontainers.image.description': 'The pod network for Kubernetes',
    'org.opencontainers.image.licenses': 'Apache-2.0',
    'org.opencontainers.image.version': version,
  };
}

function descriptor(mediaType: string, digest: string, size: number): object {
  return { mediaType, digest, size };
}

/** Plain ASCII, so that its length in characters is that in bytes. */
function blob(value: object): Blob {
  const text = JSON.stringify(value);
  return { digest: sha256(text), text };
}
