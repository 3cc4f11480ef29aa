{{- define "slipway.name" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains "slipway" .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-slipway" .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* Labels of the pods of a part; call with (dict "root" $ "part" "edge"). */}}
{{- define "slipway.selector" -}}
app.kubernetes.io/name: slipway
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "slipway.labels" -}}
{{ include "slipway.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "slipway.image" -}}
{{- $i := .Values.image -}}
{{- if $i.digest -}}
{{ $i.repository }}@{{ $i.digest }}
{{- else -}}
{{ $i.repository }}:{{ $i.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The part that is the control plane: in the trial, the one there is. */}}
{{- define "slipway.control" -}}
{{- if eq .Values.profile "trial" }}trial{{ else }}control-plane{{ end -}}
{{- end -}}

{{/* The part that visitors reach. */}}
{{- define "slipway.front" -}}
{{- if eq .Values.profile "trial" }}trial{{ else }}edge{{ end -}}
{{- end -}}

{{- define "slipway.host" -}}
{{- (urlParse .Values.baseURL).hostname -}}
{{- end -}}

{{/* Where the trial listens: on the base URL's port where it may, so that the base
URL is good inside the pod, too. */}}
{{- define "slipway.trialPort" -}}
{{- $u := urlParse .Values.baseURL -}}
{{- $port := regexFind ":[0-9]+$" $u.host | trimPrefix ":" | default "0" | int -}}
{{- if and (eq $u.scheme "http") (ge $port 1024) }}{{ $port }}{{ else }}8080{{ end -}}
{{- end -}}

{{- define "slipway.instances" -}}
{{- .Values.kubernetes.namespace | default (printf "%s-instances" (include "slipway.name" .)) -}}
{{- end -}}

{{- define "slipway.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "slipway.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "slipway.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 3
livenessProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{/* Placement of the pods of a part; call with (dict "root" $ "part" "edge" "of" .Values.edge). */}}
{{- define "slipway.placement" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{ range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- with .of.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .of.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .of.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .of.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if .of.topologySpread }}
topologySpreadConstraints:
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels: {{ include "slipway.selector" $ | nindent 6 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What no schema can say: values that do not go together. */}}
{{- define "slipway.check" -}}
{{- $v := .Values -}}
{{- if not $v.image.repository }}{{ fail "image.repository is missing: where did you push Slipway's image? make image makes it" }}{{ end -}}
{{- if eq $v.profile "production" -}}
  {{- if not $v.etcd.endpoints }}{{ fail "etcd.endpoints is missing: the profile production needs an etcd of yours, as [https://etcd-0.etcd:2379]; the profile trial brings its own" }}{{ end -}}
  {{- range $v.etcd.endpoints -}}
    {{- if and (hasPrefix "https://" .) (not $v.etcd.tlsSecret) }}{{ fail (printf "etcd.tlsSecret is missing: %s is reached by TLS. Name a Secret with ca.crt, and with tls.crt and tls.key unless etcd.clientCertificate is false" .) }}{{ end -}}
  {{- end -}}
  {{- if and (gt (int $v.controlPlane.replicas) 1) (ne $v.controlPlane.storage.accessMode "ReadWriteMany") }}{{ fail "controlPlane.replicas: several control planes share one folder of bundles; set controlPlane.storage.accessMode to ReadWriteMany, with a storage class that has it" }}{{ end -}}
  {{- if ne (not $v.internalTLS.controlPlaneSecret) (not $v.internalTLS.edgeSecret) }}{{ fail "internalTLS: controlPlaneSecret and edgeSecret go together" }}{{ end -}}
{{- else -}}
  {{- if $v.etcd.endpoints }}{{ fail "etcd.endpoints: the profile trial runs its own etcd; set profile to production" }}{{ end -}}
  {{- if $v.tls.secretName }}{{ fail "tls.secretName: the profile trial serves plain HTTP; end TLS in front of it, or set profile to production" }}{{ end -}}
  {{- if or $v.metrics.serviceMonitor.enabled $v.metrics.rules.enabled }}{{ fail "metrics: the profile trial has no metrics endpoint; set profile to production" }}{{ end -}}
{{- end -}}
{{- if and $v.gateway.enabled (eq $v.gateway.mode "passthrough") (not $v.tls.secretName) }}{{ fail "gateway.mode passthrough: edges end TLS then; name their certificate by tls.secretName" }}{{ end -}}
{{- if and $v.gateway.enabled (not $v.gateway.parentRefs) }}{{ fail "gateway.parentRefs is missing: name the Gateway, as [{name: public, namespace: gateways}]" }}{{ end -}}
{{- if and $v.gateway.enabled $v.ingress.enabled }}{{ fail "gateway and ingress are both enabled; one of them brings visitors to the edges" }}{{ end -}}
{{- if and $v.ingress.enabled $v.tls.secretName }}{{ fail "ingress: it ends TLS itself, and edges with tls.secretName send plain HTTP to HTTPS. Name the certificate by ingress.tlsSecretName in place of tls.secretName" }}{{ end -}}
{{- if and $v.gateway.enabled (eq $v.gateway.mode "terminate") $v.tls.secretName }}{{ fail "gateway.mode terminate: the Gateway ends TLS, and edges with tls.secretName send plain HTTP to HTTPS. Leave tls.secretName out, or set gateway.mode to passthrough" }}{{ end -}}
{{- end -}}
