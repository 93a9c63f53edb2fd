package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// hostPathProvisioner keeps each volume in a folder of its own below root on the node, named after the volume.
// Kubernetes has no built-in dynamic provisioner for local folders; this is the usual example of the library that all
// external provisioners are built on.
type hostPathProvisioner struct{ root string }

func (p hostPathProvisioner) folder(volume string) string { return filepath.Join(p.root, volume) }

func (p hostPathProvisioner) Provision(_ context.Context, options controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	folder := p.folder(options.PVName)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("make the folder of volume %s: %w", options.PVName, err)
	}
	// The kubelet does not apply fsGroup to hostPath volumes, and pods here run as users of their own: as on an NFS export
	// with squashed users, the folder is writable for all. Mkdir's mode is cut by the umask, hence the chmod.
	if err := os.Chmod(folder, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("open the folder of volume %s: %w", options.PVName, err)
	}
	folderMustExist := corev1.HostPathDirectory
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: options.PVC.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: folder, Type: &folderMustExist}},
		},
	}, controller.ProvisioningFinished, nil
}

func (p hostPathProvisioner) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	return os.RemoveAll(p.folder(volume.Name))
}

func newStorageProvisionerCommand() *cobra.Command {
	var kubeconfig, root, name string
	command := &cobra.Command{
		Use:   "storage-provisioner",
		Short: "Provision persistent volumes as folders on the node",
		RunE: func(command *cobra.Command, _ []string) error {
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return err
			}
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				return err
			}
			controller.NewProvisionController(command.Context(), client, name, hostPathProvisioner{root},
				controller.LeaderElection(false)).Run(command.Context())
			return nil
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	command.Flags().StringVar(&root, "root", "", "folder that holds one folder per volume")
	command.Flags().StringVar(&name, "name", "sandbox/host-path", "provisioner name in the storage class")
	return command
}
