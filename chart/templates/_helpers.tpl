{{- define "peatnode.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "peatnode.selectorLabels" -}}
app.kubernetes.io/name: peatnode
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* For everything but the headless Service and the pods: discovery selects by "app", and needs no other slices. */}}
{{- define "peatnode.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "peatnode.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.extraLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "peatnode.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "peatnode.discovery" -}}{{ .Values.discoveryMode | default .Values.discovery | nospace }}{{- end -}}
{{- define "peatnode.quicPort" -}}{{ .Values.irohBindPort | default .Values.quicPort }}{{- end -}}
{{- define "peatnode.relayUrls" -}}{{ .Values.irohRelayUrls | default .Values.relayUrls }}{{- end -}}
{{- define "peatnode.log" -}}{{ .Values.rustLog | default .Values.log }}{{- end -}}

{{- define "peatnode.watchesKubernetes" -}}
{{- if regexMatch "(^|,) *(kubernetes|k8s) *(,|$)" (include "peatnode.discovery" .) }}true{{ end -}}
{{- end -}}

{{- define "peatnode.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "peatnode.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "peatnode.formationSecretName" -}}
{{- default (include "peatnode.fullname" .) .Values.existingSecret -}}
{{- end -}}
{{- define "peatnode.formationSecretKey" -}}
{{- if .Values.existingSecret }}{{ .Values.existingSecretKey }}{{ else }}formation-secret{{ end -}}
{{- end -}}

{{- define "peatnode.hasApiToken" -}}
{{- if or .Values.apiToken .Values.existingApiTokenSecret }}true{{ end -}}
{{- end -}}
{{- define "peatnode.apiTokenSecretName" -}}
{{- default (include "peatnode.fullname" .) .Values.existingApiTokenSecret -}}
{{- end -}}
{{- define "peatnode.apiTokenSecretKey" -}}
{{- if .Values.existingApiTokenSecret }}{{ .Values.existingApiTokenSecretKey }}{{ else }}api-token{{ end -}}
{{- end -}}

{{- define "peatnode.hasReadToken" -}}
{{- if or .Values.readToken .Values.existingReadTokenSecret }}true{{ end -}}
{{- end -}}
{{- define "peatnode.readTokenSecretName" -}}
{{- default (include "peatnode.fullname" .) .Values.existingReadTokenSecret -}}
{{- end -}}
{{- define "peatnode.readTokenSecretKey" -}}
{{- if .Values.existingReadTokenSecret }}{{ .Values.existingReadTokenSecretKey }}{{ else }}read-token{{ end -}}
{{- end -}}

{{- define "peatnode.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "peatnode.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Names of the gateway pods, separated by spaces. */}}
{{- define "peatnode.gatewayPods" -}}
{{- $name := include "peatnode.fullname" . -}}
{{- $pods := list -}}
{{- range .Values.federation.gateways }}{{ $pods = append $pods (printf "%s-%d" $name (int .)) }}{{ end -}}
{{- join " " $pods -}}
{{- end -}}

{{/* Whether the pods are told which peers they should have. With other sources of peers only the operator knows. */}}
{{- define "peatnode.expectsPeers" -}}
{{- with .Values.expectedPeers -}}
{{- if and .enabled (or .peers (include "peatnode.watchesKubernetes" $)) }}true{{ end -}}
{{- end -}}
{{- end -}}
{{/* The node ids of all pods, one a line. */}}
{{- define "peatnode.expectedPeers" -}}
{{- if .Values.expectedPeers.peers -}}
{{- .Values.expectedPeers.peers -}}
{{- else -}}
{{- $name := include "peatnode.fullname" . -}}
{{- $cluster := .Values.federation.clusterName -}}
{{- $ids := list -}}
{{- range until (int .Values.replicaCount) -}}
{{- $pod := printf "%s-%d" $name . -}}
{{- $ids = append $ids (ternary (printf "%s.%s" $pod $cluster) $pod (not (empty $cluster))) -}}
{{- end -}}
{{- join "\n" $ids -}}
{{- end -}}
{{- end -}}
