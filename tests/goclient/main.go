// Command goclient asks a machine what operators ask, with Talos's own Go client, and prints the answers as JSON.
//
// It is the judge of the simulator: whatever it cannot read, the simulator says wrongly.
//
//	goclient talosconfig address            a configured machine
//	goclient -insecure address config.yaml  a machine in maintenance: disks, stage, apply in dry run
package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/block"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/etcd"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"
)

type answers map[string]any

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	found := answers{}

	var err error
	if os.Args[1] == "-insecure" {
		err = maintenance(ctx, os.Args[2], os.Args[3], found)
	} else {
		err = configured(ctx, os.Args[1], os.Args[2], found)
	}

	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}

	if err = json.NewEncoder(os.Stdout).Encode(found); err != nil {
		os.Exit(1)
	}
}

func maintenance(ctx context.Context, address, path string, found answers) error {
	c, err := client.New(ctx, client.WithEndpoints(address), client.WithTLSConfig(&tls.Config{InsecureSkipVerify: true}))
	if err != nil {
		return err
	}

	defer c.Close() //nolint:errcheck

	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}

	for _, step := range []func() error{
		func() error { return disks(ctx, c, found) },
		func() error { return machineStatus(ctx, c, found) },
		func() error {
			reply, err := c.ApplyConfiguration(ctx, &machine.ApplyConfigurationRequest{
				Data: text, Mode: machine.ApplyConfigurationRequest_AUTO, DryRun: true,
			})
			if err != nil {
				return err
			}

			found["apply"] = reply.GetMessages()[0].GetModeDetails()

			return nil
		},
		func() error {
			_, err := c.ServiceList(ctx)
			found["services"] = client.StatusCode(err).String()

			return nil
		},
		func() error {
			err := c.Bootstrap(ctx, &machine.BootstrapRequest{})
			found["bootstrap"] = client.StatusCode(err).String()

			return nil
		},
	} {
		if err := step(); err != nil {
			return err
		}
	}

	return nil
}

func configured(ctx context.Context, path, address string, found answers) error {
	cfg, err := clientconfig.Open(path)
	if err != nil {
		return err
	}

	c, err := client.New(ctx, client.WithConfig(cfg), client.WithEndpoints(address))
	if err != nil {
		return err
	}

	defer c.Close() //nolint:errcheck

	for name, step := range map[string]func(context.Context, *client.Client, answers) error{
		"version": version, "services": services, "etcd": etcdMembers, "snapshot": snapshot, "disks": disks,
		"kubeconfig": kubeconfig, "machine status": machineStatus, "resources": resources, "watch": watch,
		"watch kind": watchKind, "events": events, "definitions": definitions, "node": node,
	} {
		if err := step(ctx, c, found); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}

	return nil
}

func version(ctx context.Context, c *client.Client, found answers) error {
	reply, err := c.Version(ctx)
	if err != nil {
		return err
	}

	found["version"] = reply.GetMessages()[0].GetVersion().GetTag()

	return nil
}

// node asks two nodes through the metadata that talosctl sets; nobody is at the second address.
func node(ctx context.Context, c *client.Client, found answers) error {
	reply, err := c.Version(client.WithNodes(ctx, c.GetEndpoints()[0], "127.0.0.9"))
	found["fanOut"] = len(reply.GetMessages())
	found["fanOutFailed"] = err != nil

	return nil
}

func services(ctx context.Context, c *client.Client, found answers) error {
	reply, err := c.ServiceList(ctx)
	if err != nil {
		return err
	}

	states := map[string]string{}

	for _, info := range reply.GetMessages()[0].GetServices() {
		wrapped := client.ServiceInfo{Service: info}
		if events := wrapped.Service.GetEvents().GetEvents(); len(events) == 0 || events[len(events)-1].GetState() != info.GetState() {
			return fmt.Errorf("%s: last event differs from state", info.GetId())
		}

		states[info.GetId()] = info.GetState()
	}

	found["services"] = states

	return nil
}

func etcdMembers(ctx context.Context, c *client.Client, found answers) error {
	members, err := c.EtcdMemberList(ctx, &machine.EtcdMemberListRequest{})
	if err != nil {
		return err
	}

	status, err := c.EtcdStatus(ctx)
	if err != nil {
		return err
	}

	alarms, err := c.EtcdAlarmList(ctx)
	if err != nil {
		return err
	}

	found["members"] = len(members.GetMessages()[0].GetMembers())
	found["leader"] = status.GetMessages()[0].GetMemberStatus().GetLeader() != 0
	found["alarms"] = len(alarms.GetMessages()[0].GetMemberAlarms())

	return nil
}

func snapshot(ctx context.Context, c *client.Client, found answers) error {
	stream, err := c.EtcdSnapshot(ctx, &machine.EtcdSnapshotRequest{})
	if err != nil {
		return err
	}

	content, err := io.ReadAll(stream)
	if err != nil {
		return err
	}

	body := content[:len(content)-sha256.Size]
	sum := sha256.Sum256(body)
	found["snapshot"] = len(content)%512 == sha256.Size && string(sum[:]) == string(content[len(body):])

	return nil
}

func disks(ctx context.Context, c *client.Client, found answers) error {
	reply, err := c.StorageClient.Disks(ctx, &emptypb.Empty{})
	if err != nil {
		return err
	}

	var paths []string
	for _, disk := range reply.GetMessages()[0].GetDisks() {
		paths = append(paths, disk.GetDeviceName())
	}

	found["disks"] = paths

	return nil
}

func kubeconfig(ctx context.Context, c *client.Client, found answers) error {
	content, err := c.Kubeconfig(ctx)
	found["kubeconfig"] = string(content)

	return err
}

func machineStatus(ctx context.Context, c *client.Client, found answers) error {
	status, err := safe.StateGetByID[*runtime.MachineStatus](ctx, c.COSI, runtime.MachineStatusID)
	if err != nil {
		return err
	}

	found["stage"] = status.TypedSpec().Stage.String()
	found["ready"] = status.TypedSpec().Status.Ready

	return nil
}

func resources(ctx context.Context, c *client.Client, found answers) error {
	members, err := safe.StateListAll[*cluster.Member](ctx, c.COSI)
	if err != nil {
		return err
	}

	names := []string{}
	for member := range members.All() {
		names = append(names, member.TypedSpec().Hostname)
	}

	found["clusterMembers"] = names

	machineConfig, err := safe.StateGetByID[*config.MachineConfig](ctx, c.COSI, config.ActiveID)
	if err != nil {
		return err
	}

	found["machineType"] = machineConfig.Config().Machine().Type().String()

	member, err := safe.StateGetByID[*etcd.Member](ctx, c.COSI, etcd.LocalMemberID)
	if err != nil {
		return err
	}

	found["memberID"] = member.TypedSpec().MemberID

	hostname, err := safe.StateGetByID[*network.HostnameStatus](ctx, c.COSI, network.HostnameID)
	if err != nil {
		return err
	}

	found["hostname"] = hostname.TypedSpec().Hostname

	addresses, err := safe.StateGetByID[*network.NodeAddress](ctx, c.COSI, network.NodeAddressDefaultID)
	if err != nil {
		return err
	}

	found["address"] = addresses.TypedSpec().Addresses[0].Addr().String()

	kubelet, err := safe.StateGetByID[*v1alpha1.Service](ctx, c.COSI, "kubelet")
	if err != nil {
		return err
	}

	found["kubelet"] = kubelet.TypedSpec().Running && kubelet.TypedSpec().Healthy

	system, err := safe.StateGetByID[*block.SystemDisk](ctx, c.COSI, block.SystemDiskID)
	if err != nil {
		return err
	}

	found["systemDisk"] = system.TypedSpec().DevPath

	_, err = c.COSI.Get(ctx, resource.NewMetadata(v1alpha1.NamespaceName, v1alpha1.ServiceType, "absent", resource.VersionUndefined))
	found["absent"] = state.IsNotFoundError(err)

	return nil
}

func watch(ctx context.Context, c *client.Client, found answers) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	events := make(chan state.Event)
	pointer := resource.NewMetadata(runtime.NamespaceName, runtime.MachineStatusType, runtime.MachineStatusID, resource.VersionUndefined)

	if err := c.COSI.Watch(ctx, pointer, events); err != nil {
		return err
	}

	select {
	case event := <-events:
		found["watch"] = event.Type.String()

		return event.Error
	case <-ctx.Done():
		return ctx.Err()
	}
}

func watchKind(ctx context.Context, c *client.Client, found answers) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	events := make(chan state.Event)
	kind := resource.NewMetadata(v1alpha1.NamespaceName, v1alpha1.ServiceType, "", resource.VersionUndefined)

	if err := c.COSI.WatchKind(ctx, kind, events, state.WithBootstrapContents(true)); err != nil {
		return err
	}

	for created := 0; ; created++ {
		select {
		case event := <-events:
			switch event.Type {
			case state.Created:
			case state.Bootstrapped:
				found["watchKind"] = created

				return nil
			default:
				return errors.Join(fmt.Errorf("unexpected %s", event.Type), event.Error)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func events(ctx context.Context, c *client.Client, found answers) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	results := make(chan client.EventResult)
	if err := c.EventsWatchV2(ctx, results, client.WithTailEvents(-1)); err != nil {
		return err
	}

	kinds := map[string]int{}

	for {
		select {
		case result := <-results:
			if result.Error != nil {
				return result.Error
			}

			kinds[fmt.Sprintf("%T", result.Event.Payload)]++

			if status, ok := result.Event.Payload.(*machine.MachineStatusEvent); ok &&
				status.GetStage() == machine.MachineStatusEvent_RUNNING && status.GetStatus().GetReady() {
				found["events"] = kinds

				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func definitions(ctx context.Context, c *client.Client, found answers) error {
	all, err := safe.StateListAll[*meta.ResourceDefinition](ctx, c.COSI)
	if err != nil {
		return err
	}

	for definition := range all.All() {
		if definition.TypedSpec().Type == runtime.MachineStatusType {
			found["definition"] = definition.TypedSpec().DefaultNamespace
		}
	}

	return nil
}
