{{- define "nodeward.labels" -}}
app.kubernetes.io/part-of: nodeward
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "nodeward.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}

{{- define "nodeward.ca.address" -}}
{{- if .Values.ca.address -}}
{{ .Values.ca.address }}
{{- else if not .Values.ca.enabled -}}
{{- fail "ca.enabled=false needs ca.address, the HOST:PORT of another CA (istiod.istio-system.svc:15012)" }}
{{- else -}}
nodeward-ca.{{ .Release.Namespace }}.svc:15012
{{- end }}
{{- end }}

{{- /* What nodeward's ConfigMap holds; agent.config is laid over it. */ -}}
{{- define "nodeward.agent.config" -}}
trustDomain: {{ .Values.trustDomain }}
source:
  kind: kubernetes
  kubernetes:
    daemonset: {{ .Release.Namespace }}/nodeward-agent
    {{- if .Values.agent.untaint }}
    taint: nodeward.io/agent-not-ready
    {{- end }}
  cri: unix://{{ .Values.agent.criSocket }}
{{- with .Values.cni }}
{{- if .confDir }}
cni:
  confDir: {{ .confDir }}
  binDir: {{ .binDir }}
  {{- if .enabled }}
  serviceAccount: {{ $.Release.Namespace }}/nodeward-cni
  {{- else }}
  plugin: remove
  {{- end }}
{{- end }}
{{- end }}
ca:
  address: {{ include "nodeward.ca.address" . }}
  roots: /etc/nodeward/ca/root-cert.pem
  token: /var/run/secrets/nodeward/token
{{- if not .Values.ca.enabled }}
  clusterId: {{ .Values.ca.clusterId | quote }}
  lifetime: {{ .Values.ca.lifetime }}
  {{- with .Values.ca.serverName }}
  serverName: {{ . }}
  {{- end }}
{{- end }}
runDir: /run/nodeward
bpfDir: /sys/fs/bpf/nodeward
meshCIDRs: {{ toJson .Values.meshCIDRs }}
drain: {{ .Values.agent.drain }}
takeover: {{ .Values.agent.takeover }}
log: {level: {{ .Values.agent.logLevel }}, format: {{ .Values.agent.logFormat }}}
{{- end }}

{{- /* The folder of the container runtime's socket; empty if that is /run itself. */}}
{{- define "nodeward.cri.folder" -}}
{{- $folder := dir .Values.agent.criSocket -}}
{{- if not (has $folder (list "/" "/run" "/var/run")) -}}
{{ $folder }}
{{- end }}
{{- end }}
