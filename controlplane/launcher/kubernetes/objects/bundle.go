package objects

import corev1 "k8s.io/api/core/v1"

// Bundle is what brings the app of a pod, where that is not its image.
type Bundle struct {
	// Image is the one that the app runs in, and Command, Args, Dir and Env what
	// runs there. PORT, SLIPWAY_TOKEN_FILE and the start's own variables are added
	// to Env.
	Image         string
	Command, Args []string
	Dir           string
	Env           []corev1.EnvVar
	// Init are the init containers, which have none of the start's variables and
	// files.
	Init []corev1.Container
	// Volumes are those that they and the app share, Mounts where the app has them.
	Volumes []corev1.Volume
	Mounts  []corev1.VolumeMount
	// Secret is added to the data of the instance's Secret. The [[File]]s with
	// relative paths are the bundle's to bring.
	Secret map[string][]byte
}
