{{- define "slipway.controlMounts" -}}
{{- if .Values.oidc.clientSecret.secretName }}
- {name: oidc, mountPath: /etc/slipway/oidc, readOnly: true}
{{- end }}
{{- if .Values.secretKeys.secretName }}
- {name: secret-keys, mountPath: /etc/slipway/secret-keys, readOnly: true}
{{- end }}
{{- end }}

{{- define "slipway.controlVolumes" -}}
{{- with .Values.oidc.clientSecret.secretName }}
- name: oidc
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.secretKeys.secretName }}
- name: secret-keys
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{/* What edges and control planes have. */}}
{{- define "slipway.partMounts" -}}
- {name: config, mountPath: /etc/slipway/Caddyfile, subPath: Caddyfile, readOnly: true}
- {name: internal, mountPath: /etc/slipway/internal, readOnly: true}
- {name: run, mountPath: /run/slipway}
- {name: tmp, mountPath: /tmp}
- {name: data, mountPath: /var/lib/slipway}
{{- if .Values.etcd.tlsSecret }}
- {name: etcd, mountPath: /etc/slipway/etcd, readOnly: true}
{{- end }}
{{- if .Values.etcd.username }}
- {name: etcd-password, mountPath: /etc/slipway/etcd-password, readOnly: true}
{{- end }}
{{- end }}

{{- define "slipway.partVolumes" -}}
- name: config
  configMap: {name: {{ include "slipway.name" .root }}-{{ .part }}}
- name: internal
  secret:
    secretName: {{ include "slipway.internalSecret" . }}
    defaultMode: 0440
- name: run
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: tmp
  emptyDir: {}
{{- with .root.Values.etcd.tlsSecret }}
- name: etcd
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if .root.Values.etcd.username }}
- name: etcd-password
  secret: {secretName: {{ required "etcd.passwordSecret.name is missing: etcd.username needs the password's Secret" .root.Values.etcd.passwordSecret.name }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{- define "slipway.internalSecret" -}}
{{- if eq .part "edge" -}}
{{ .root.Values.internalTLS.edgeSecret | default (printf "%s-edge-internal" (include "slipway.name" .root)) }}
{{- else -}}
{{ .root.Values.internalTLS.controlPlaneSecret | default (printf "%s-control-plane-internal" (include "slipway.name" .root)) }}
{{- end -}}
{{- end }}

{{- define "slipway.partEnv" -}}
- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
- {name: HOME, value: /var/lib/slipway}
{{- end }}
