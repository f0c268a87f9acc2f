/** A kubeconfig for the API of a lab. */

/** @param server a URL. @param certificate PEM. @returns YAML. */
export function kubeconfig(lab: string, server: string, certificate: string, token: string): string {
  const name = `fairlead-lab-${lab}`;
  return `apiVersion: v1
kind: Config
current-context: ${name}
clusters:
- name: ${name}
  cluster:
    server: ${server}
    certificate-authority-data: ${Buffer.from(certificate).toString('base64')}
users:
- name: ${name}
  user:
    token: ${token}
contexts:
- name: ${name}
  context:
    cluster: ${name}
    user: ${name}
    namespace: default
`;
}
