{{/* Lines of the block slipway { … } that every part has. */}}
{{- define "slipway.common" }}
		base_url {{ .Values.baseURL }}
{{- with .Values.consoleHost }}
		console_host {{ . }}
{{- end }}
		health_listen 0.0.0.0:9090
		hold {{ .Values.settings.hold }}
{{- with .Values.trustedProxies }}
		trusted_proxies {{ join " " . }}
{{- end }}
{{- end }}

{{/* Those of a control plane. */}}
{{- define "slipway.controlSettings" }}
{{- $s := .Values.settings }}
		routing_mode {{ $s.routingMode }}
		instance_timeout {{ $s.instanceTimeout }}
		drain {{ $s.drain }}
		admin_role {{ $s.adminRole | quote }}
{{- with $s.fullAccessRole }}
		full_access_role {{ . | quote }}
{{- end }}
{{- if $s.baseURLSharing }}
		base_url_sharing
{{- end }}
{{- with $s.allowedImages }}
		allowed_images{{ range . }} `{{ . }}`{{ end }}
{{- end }}
{{- range $name, $r := $s.runtimeVersions }}
		runtime_version {{ $name }} {
{{- if $r.default }}
			default
{{- end }}
{{- with $r.python }}
			python {{ . }}
{{- end }}
{{- with $r.image }}
			image {{ . }}
{{- end }}
		}
{{- end }}
{{- with .Values.oidc }}
{{- if .issuer }}
		oidc {{ .issuer }} {{ .clientID | quote }} {
{{- if .clientSecret.secretName }}
			client_secret_file /etc/slipway/oidc/{{ .clientSecret.key }}
{{- end }}
			scopes {{ join " " .scopes }}
		}
{{- end }}
{{- end }}
{{- if .Values.secretKeys.secretName }}
		secret_keys /etc/slipway/secret-keys/{{ .Values.secretKeys.key }}
{{- end }}
{{- if .Values.kubernetes.enabled }}
		launcher kubernetes {
			namespace {{ include "slipway.instances" . }}
			data /var/lib/slipway/kubernetes
{{- if .Values.networkPolicy.enabled }}
			network {
{{- range $part := uniq (list (include "slipway.front" .) (include "slipway.control" .)) }}
				from_pods {{ $.Release.Namespace }} app.kubernetes.io/name=slipway app.kubernetes.io/instance={{ $.Release.Name }} app.kubernetes.io/component={{ $part }}
{{- end }}
				to_pods {{ include "slipway.bundlePort" . }} {{ .Release.Namespace }} app.kubernetes.io/name=slipway app.kubernetes.io/instance={{ .Release.Name }} app.kubernetes.io/component={{ include "slipway.control" . }}
{{- with .Values.networkPolicy.instanceAllow }}
				allow {{ join " " . }}
{{- end }}
{{- with .Values.networkPolicy.instanceDeny }}
				deny {{ join " " . }}
{{- end }}
			}
{{- else }}
			network off
{{- end }}
{{- with .Values.kubernetes.storageClass }}
			storage_class {{ . }}
{{- end }}
{{- with .Values.kubernetes.pullSecrets }}
			pull_secret {{ join " " . }}
{{- end }}
{{- with .Values.kubernetes.bundles }}
{{- if .enabled }}
			image {{ include "slipway.image" $ }}
			control_plane {{ .controlPlane | default (include "slipway.bundleURL" $) }}
{{- with .binaryImage }}
			binary_image {{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.kubernetes.extraSettings }}
{{ . | trim | indent 12 }}
{{- end }}
		}
{{- end }}
{{- with .Values.manual.allow }}
		launcher manual {
			allow {{ join " " . }}
		}
{{- end }}
{{- end }}

{{- define "slipway.extra" }}
{{- with .Values.extraSettings }}
{{ . | trim | indent 8 }}
{{- end }}
{{- end }}

{{- define "slipway.etcd" }}
		etcd {{ join " " .Values.etcd.endpoints }} {
			prefix {{ .Values.etcd.prefix }}
{{- if .Values.etcd.tlsSecret }}
			ca /etc/slipway/etcd/ca.crt
{{- if .Values.etcd.clientCertificate }}
			cert /etc/slipway/etcd/tls.crt /etc/slipway/etcd/tls.key
{{- end }}
{{- end }}
{{- with .Values.etcd.username }}
			username {{ . | quote }}
			password_file /etc/slipway/etcd-password/{{ $.Values.etcd.passwordSecret.key }}
{{- end }}
		}
		edge_name {$POD_NAME}
{{- end }}

{{/* Where the control plane's pods answer those of instances. */}}
{{- define "slipway.bundlePort" -}}
{{- if eq .Values.profile "trial" }}{{ include "slipway.trialPort" . }}{{ else }}8080{{ end -}}
{{- end }}

{{- define "slipway.bundleURL" -}}
{{- $name := include "slipway.name" . -}}
{{- if eq .Values.profile "trial" -}}
http://{{ $name }}.{{ .Release.Namespace }}.svc:{{ .Values.service.httpPort }}
{{- else -}}
http://{{ $name }}-control-plane.{{ .Release.Namespace }}.svc:8080
{{- end -}}
{{- end }}

{{/* What stands around the block slipway { … } in a file for slipway run. */}}
{{- define "slipway.global" }}
	admin unix//run/slipway/admin.sock
	persist_config off
	storage file_system /var/lib/slipway/caddy
	http_port 8080
	https_port 8443
	grace_period {{ .Values.edge.drainSeconds }}s
	servers {
		protocols h1 h2
		listener_wrappers {
			slipway
		}
		max_header_size 64KiB
		timeouts {
			read_header 10s
		}
	}
{{- end }}

{{- define "slipway.metricsSite" }}
http://:9180 {
	metrics
}
{{- end }}

{{/* slipway up: the block alone. */}}
{{- define "slipway.trialFile" -}}
slipway {
{{- include "slipway.common" . }}
{{- include "slipway.controlSettings" . }}
{{- include "slipway.extra" . }}
}
{{- end }}

{{- define "slipway.edgeFile" -}}
{
{{- include "slipway.global" . }}
	slipway {
{{- include "slipway.common" . }}
{{- include "slipway.etcd" . }}
		snapshot /var/lib/slipway/routes
		control_client {
			ca /etc/slipway/internal/ca.crt
			cert /etc/slipway/internal/tls.crt /etc/slipway/internal/tls.key
		}
	}
}
{{- if .Values.tls.secretName }}

https:// {
	tls /etc/slipway/tls/tls.crt /etc/slipway/tls/tls.key
	slipway
}

http:// {
	@good not host refused.invalid
	redir @good https://{host}{uri} 308
	slipway
}
{{- else }}

http:// {
	slipway
}
{{- end }}
{{ include "slipway.metricsSite" . }}
{{ end }}

{{- define "slipway.controlFile" -}}
{
{{- include "slipway.global" . }}
	slipway {
{{- include "slipway.common" . }}
{{- include "slipway.etcd" . }}
		control_plane 0.0.0.0:9000 {
			advertise {$POD_IP}:9000
			tls_name {{ include "slipway.name" . }}-control-plane
			cert /etc/slipway/internal/tls.crt /etc/slipway/internal/tls.key
			client_ca /etc/slipway/internal/ca.crt
		}
		blobs /var/lib/slipway/bundles
{{- include "slipway.controlSettings" . }}
{{- include "slipway.extra" . }}
	}
}

# Pods of instances fetch their bundles here, and reach nothing else: it is edges
# that visitors and the API's users come to.
http:// {
	handle /api/v1/bundles/* {
		slipway
	}
	handle {
		respond 404
	}
}
{{ include "slipway.metricsSite" . }}
{{ end }}
