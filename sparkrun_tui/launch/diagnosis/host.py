"""Why a host fails before any engine runs: Docker, images, SSH, copies."""

from __future__ import annotations

import re

from sparkrun_tui.base.reading.patterns import GAP, SHORT_GAP
from sparkrun_tui.base.text import in_quotes, shorten
from sparkrun_tui.engines.logs.causes import Cause, Context, Weight, by_hand, cause, first_of, set_env

_TOOLKIT = by_hand("sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker")
_ARM_IMAGE = by_hand("use an image for arm64", "a Spark cannot run x86 images at a useful speed")


def _innermost(match: re.Match[str], _: Context) -> str:
    """What the innermost part of Docker says: each part puts its words before those of the one that it called."""
    parts = [part.strip(' .,"\\') for part in match.string.split(": ")]
    said = [part for part in parts if part not in ("", "unknown", "stderr")]
    return f"It says: {shorten(': '.join(said[-2:]), 300)}"


def _hook_failed(match: re.Match[str], context: Context) -> str:
    text = f"{match[1]} ended with exit code {match[2]}, so the engine was not started"
    for line in reversed(context.before):
        if line.strip():
            if not line.startswith("sparkrun-tui: "):
                text += f"; its last line: {in_quotes(line, 300)}"
            break
    return text


HOST_CAUSES: tuple[Cause, ...] = (
    cause(
        r"^sparkrun-tui: ((?:pre_exec|mods).*) ended with exit code (\d+)$",
        "A command before the engine failed",
        _hook_failed,
        by_hand("correct `pre_exec` in the recipe", "the lines above in the log are what it printed"),
        weight=Weight.OURS,
    ),
    cause(
        r"no matching manifest for (\S+)|image's platform \((\S+)\) does not match|exec format error",
        "The image is for another processor",
        lambda match, _: f"The image has no build for this host{f' ({match[1]})' if match[1] else ''}.",
        _ARM_IMAGE,
        outside=True,
    ),
    cause(
        r"manifest unknown|manifest for (\S+) not found|failed to resolve reference .{1,400}: not found",
        "The image's tag does not exist",
        "The registry has no such tag; it may have been removed.",
        by_hand("choose another tag in `container`"),
        outside=True,
    ),
    cause(
        r"pull access denied for ([^\s,]+)|repository does not exist or may require|"
        r"unauthorized: (?:authentication|access|incorrect|not authorized|unauthenticated)|"
        r"denied: (?:requested access|denied\b|permission_denied)|"
        r"(?:HEAD|GET) request to \S{1,400}/manifests/\S{1,200}: 40[13] ",
        "The image cannot be pulled",
        lambda match, _: (
            f"The registry does not provide {match[1] or 'the image'}: it is private, or only on its build host."
        ),
        by_hand(
            "`docker login` on the host, if the image is private", "`docker logout`, if an old login is kept there"
        ),
        by_hand("build it on the host, or send it from the workstation", "names without a registry are local images"),
        outside=True,
    ),
    cause(
        r"requirement error: unsatisfied condition: (cuda\S{1,40})",
        "The driver is too old for the image",
        "The image asks for {0} and the host's driver offers less.",
        by_hand("update the host's driver, then restart the host"),
        by_hand("use an older image of the engine"),
        outside=True,
    ),
    cause(
        r"[Dd]river/library version mismatch",
        "The driver was updated, but the host was not restarted",
        "The kernel still runs the old driver, but its libraries are new.",
        by_hand("restart the host"),
    ),
    cause(
        r"error setting rlimit type \d+: operation not permitted",
        "Docker may not raise limits on this host",
        "This Docker runs without root rights (rootless, or in an unprivileged container): memory cannot be locked.",
        by_hand("use the host's system-wide Docker", "docker context ls shows which one answers"),
        outside=True,
    ),
    # NVIDIA/nvidia-docker#1190
    cause(
        r'exec: "nvidia-container-runtime[^"]{0,40}": executable file not found',
        "Docker has no GPU on this host",
        "Docker is set up for the GPU, but NVIDIA's container toolkit is not installed.",
        by_hand("sudo apt install nvidia-container-toolkit"),
        _TOOLKIT,
        outside=True,
    ),
    # dstackai/dstack#2306
    cause(
        r"invoking the NVIDIA Container Runtime Hook directly",
        "NVIDIA's toolkit refuses the old way to the GPU",
        "NVIDIA's toolkit on this host is set to lists of devices (CDI) only, and Docker calls it without one.",
        by_hand("sudo nvidia-ctk config --in-place --set nvidia-container-runtime.mode=auto, then restart Docker"),
        outside=True,
    ),
    # NVIDIA/nvidia-container-runtime#89, NVIDIA/nvidia-docker#1029, #1736
    cause(
        r"fork/exec (\S{1,200}): (?:permission denied|no such file or directory|exec format error)",
        "Docker cannot run NVIDIA's runtime",
        "Docker may not run {0}: the path in /etc/docker/daemon.json is wrong, or the package is broken.",
        _TOOLKIT,
        by_hand("sudo apt install --reinstall nvidia-container-toolkit"),
        outside=True,
    ),
    # NVIDIA/nvidia-docker#1017
    cause(
        r"(nvidia-container-runtime\S{0,40}) did not terminate succ?essfully",
        "Docker cannot run NVIDIA's runtime",
        "{0} stopped before the container was made: it is broken, or a program that it needs is missing.",
        by_hand("sudo apt install --reinstall nvidia-container-toolkit"),
        _TOOLKIT,
        outside=True,
    ),
    # NVIDIA/nvidia-container-toolkit#14
    cause(
        r"No help topic for '(\w{1,40})'",
        "The parts of NVIDIA's toolkit do not fit together",
        "One part of the toolkit calls another one with `{0}`, which it does not know: they are of different versions.",
        by_hand(
            "update nvidia-container-toolkit, nvidia-container-toolkit-base and libnvidia-container-tools together"
        ),
        outside=True,
    ),
    cause(
        r"Are you trying to mount a directory onto a file|: not a directory: unknown",
        "A mount does not fit",
        "A folder is mounted where the image has a file, or a file where it has a folder; a path that does not exist "
        "becomes a folder.",
        by_hand("check on that host that the mounted path exists, and is of the right kind"),
        outside=True,
    ),
    cause(
        r'chdir to cwd \("([^"]{1,200})"\)',
        "The working folder does not exist",
        "There is no {0} in the container.",
        by_hand("correct the working folder, or mount the one that is missing"),
        outside=True,
    ),
    cause(
        r'unable to apply cgroup configuration|error mounting "cgroup"|mountpoint for devices not found|'
        r"cgroup.{0,80}(?:not mounted|mountpoint does not)",
        "Docker cannot set up control groups",
        "The host's control groups (cgroups) are not as Docker needs them.",
        by_hand("restart Docker, then the host"),
        by_hand("use a host where Docker runs on the system itself"),
        outside=True,
    ),
    cause(
        r"[Nn]o command specified",
        "The image has no program to start",
        "The image names no command, and none was given.",
        by_hand("check `container`: it must be an image of this engine"),
        outside=True,
    ),
    cause(
        r'exec: "[^"]{1,200}": resource temporarily unavailable|fork/exec \S{1,200}: resource temporarily unavailable',
        "Too many processes",
        "Docker may not start another process on this host: a limit is reached.",
        by_hand("raise TasksMax of docker.service, or stop other containers"),
        outside=True,
    ),
    cause(
        r"container networking: network (\S{1,100}) not found|[Nn]etwork (\S{1,100}) not found",
        "The Docker network does not exist",
        lambda match, _: f"There is no network {shorten(first_of(match, 1, 2), 100)} on that host.",
        by_hand("use the host's network, or make that one: docker network create"),
        outside=True,
    ),
    cause(
        r"non-overlapping IPv4 address pool",
        "Docker has no addresses left",
        "All address ranges of Docker are in use by its networks.",
        by_hand("docker network prune on that host"),
        outside=True,
    ),
    cause(
        r"iptables failed|No chain/target/match by that name|failed to create NAT chain",
        "Docker's rules for the network are gone",
        "Something changed the host's packet filter after Docker had started.",
        by_hand("sudo systemctl restart docker"),
        by_hand("use the host's network"),
        outside=True,
    ),
    cause(
        r"server gave HTTP response to HTTPS client|first record does not look like a TLS handshake",
        "The registry does not speak HTTPS",
        "Docker wants HTTPS, and this registry has only HTTP.",
        by_hand("name it in insecure-registries of /etc/docker/daemon.json, then restart Docker"),
        by_hand("send the image from the workstation"),
        outside=True,
    ),
    # docker/for-linux#1129, #1199, AbdBarho/stable-diffusion-webui-docker#682
    cause(
        r"unable to apply apparmor profile|apparmor failed to apply profile",
        "AppArmor refuses the container",
        "Docker cannot give the container its AppArmor profile: the host's profiles are not loaded or of another"
        " version, or Docker itself runs in a container.",
        by_hand("sudo apt install --reinstall apparmor, then restart Docker", "aa-status lists what is loaded"),
        by_hand("remove a Docker that was installed as a snap, and install docker-ce"),
        by_hand("security-opt apparmor=unconfined", "where Docker runs in a container (LXC)"),
        outside=True,
    ),
    # dusty-nv/jetson-containers#171
    cause(
        r"error adding seccomp filter rule for syscall (\w{1,40})",
        "Docker's parts do not fit together",
        "runc and libseccomp of this host are of different times: the rule for {0} is refused.",
        by_hand("update docker-ce, containerd.io and libseccomp2 on that host together"),
        by_hand("hold back the package that was updated last", "apt list --installed shows the versions"),
        outside=True,
    ),
    # moby/moby#52411
    cause(
        r"failed to get reader from content store|content digest \S{1,200}: not found",
        "Docker's store lacks a part of the image",
        "Docker believes that it has a layer of the image, and the layer is not in its store.",
        by_hand("docker image rm the image on that host, restart Docker, and launch again"),
        by_hand(
            '"features": {"containerd-snapshotter": false} in /etc/docker/daemon.json, then restart Docker',
            "the older store: all images are pulled anew",
        ),
        outside=True,
    ),
    # DaoCloud/public-image-mirror#1441
    cause(
        r"unexpected commit digest \S{1,100}, expected",
        "A layer of the image was damaged on its way",
        "What arrived is not what the registry's list promises: a proxy, a mirror or a broken download.",
        by_hand("launch again; leave out the proxy or mirror where it comes back"),
        by_hand("send the image from the workstation"),
        outside=True,
    ),
    # NVIDIA/dcgm-exporter#31
    cause(
        r"(?:unexpected (?:HTTP )?status(?: code)?:?|unexpected status from \S{1,20} request to \S{1,300}:) "
        r"((?:429|5\d\d)\b.{0,60})",
        "The registry has a fault",
        "It answered with {0}.",
        by_hand("launch again later"),
        by_hand("send the image from the workstation"),
        outside=True,
    ),
    # NVIDIA/dcgm-exporter#659
    cause(
        r"error from registry: (.{1,300})|unexpected status from \S{1,20} request to \S{1,300}: (.{1,200})",
        "The registry refuses the image",
        lambda match, _: f"It says: {shorten(first_of(match, 1, 2), 300)}",
        by_hand("check `container`, and `docker login` on the host", "`docker logout`, if an old login is kept there"),
        by_hand("launch again later, or send the image from the workstation"),
        generic=True,
        outside=True,
    ),
    # jonlabelle/docker-network-tools#44
    cause(
        r"httpReadSeeker: failed open: content at \S{1,300} not found",
        "The registry lacks a part of the image",
        "The registry names a part of the image that it does not have.",
        by_hand("choose another tag in `container`"),
        by_hand("send the image from a host that has it: `distribute`"),
        outside=True,
    ),
    # makeplane/plane#5917
    cause(
        r"create mount(?:point| destination) for (\S{1,300}) mount: .{0,400}"
        r"([Oo]peration not permitted|[Pp]ermission denied|[Rr]ead-only file system|[Nn]o such file or directory)",
        "A mount cannot be made in the container",
        "Docker cannot make {0} in the image's files: {1}.",
        by_hand("mount it elsewhere, not inside of another mount or of a link"),
        by_hand("run without a read-only root, and Docker without user namespaces (userns-remap)"),
        outside=True,
    ),
    # searlsco/posse_party#27
    cause(
        r"mismatched image rootfs and manifest layers",
        "The image is broken in the registry",
        "The image's list of layers does not fit its own description.",
        by_hand("choose another tag in `container`, or pull it by its digest"),
        outside=True,
    ),
    # moby/moby#23184, idaholab/moose#22746, microsoft/mssql-docker#14
    cause(
        r"failed to (?:register|extract) layer: (?:rename \S{1,300} \S{1,300}: (?:directory not empty|file exists)|"
        r"open \S{0,200}/layers/\S{1,200}: no such file)",
        "Docker's store of images is damaged",
        "What an earlier pull left in Docker's folder is in the way, most often after it was broken off.",
        by_hand("restart Docker on that host, and launch again"),
        by_hand("docker system prune on that host", "removes what no container uses"),
        outside=True,
    ),
    # catthehacker/docker_images#111
    cause(
        r"failed to (?:register|extract) layer: .{0,400}?(invalid argument|operation not supported|"
        r"[Ff]ile name too long|[Ss]tructure needs cleaning|[Ii]nput/output error|[Ss]tale file handle|"
        r"[Rr]ead-only file system)",
        "The disk cannot hold the image",
        "The disk of Docker's folder refuses a file of the image: {0}. It is faulty, or of a kind that Docker cannot"
        " use (a network or Windows drive).",
        by_hand("see where Docker keeps images (docker info: Docker Root Dir), and look at that disk: dmesg, mount"),
        by_hand("move Docker's folder to a disk with ext4 or xfs: data-root in /etc/docker/daemon.json"),
        outside=True,
    ),
    # nebius/soperator#583
    cause(
        r"failed to (?:register|extract) layer: .{0,400}(?:permission denied|operation not permitted)",
        "Docker may not unpack the image",
        "Docker's folder on this host may not be written to: another owner, a network drive, AppArmor, or Docker runs"
        " without root rights.",
        by_hand("check where Docker keeps images (docker info: Docker Root Dir) and who owns it"),
        by_hand("journalctl -k | grep -i apparmor", "shows whether AppArmor refused it"),
        by_hand("use the host's system-wide Docker", "docker context ls shows which one answers"),
        outside=True,
    ),
    cause(
        r"(?:failed to (?:register|extract) layer|failed to copy|layer verification failed|failed size validation|"
        r"unexpected EOF|invalid tar header|layers from manifest don't match)",
        "The image is incomplete",
        "A part of the image could not be fetched or unpacked.",
        by_hand("launch again: it is pulled or sent anew", "and check the disk and network of that host"),
        generic=True,
        outside=True,
    ),
    cause(
        r"unable to find user (\S{1,60}): no matching entries",
        "The image does not know this user",
        "The container was to run as {0}, and the image has no such user.",
        by_hand("leave out `user`, or give a number: 1000:1000"),
        outside=True,
    ),
    cause(
        r"sysctl .{1,100} not allowed in host network|[Rr]ange of CPUs is from|[Mm]inimum memory limit allowed|"
        r"invalid (?:mount config|volume specification|publish opts|argument \S{1,100} for)|[Dd]uplicate mount point|"
        r"conflicting options: ",
        "Docker refuses an option",
        "An option of the container is not possible on that host, or not together with another one.",
        by_hand("correct executor_config and the mounts of the recipe or the cluster"),
        generic=True,
        outside=True,
    ),
    cause(
        r"unknown flag: (--[a-z-]{1,40})",
        "Docker on this host is too old",
        "It does not know {0}.",
        by_hand("update Docker on that host"),
        outside=True,
    ),
    # NVIDIA/nvidia-container-toolkit#678
    cause(
        r"devices\.allow: operation not permitted|bpf_prog_query\(BPF_CGROUP_DEVICE\) failed|"
        r"failed to add device rules",
        "Docker may not give devices to containers here",
        "This Docker runs without root rights (rootless, or in an unprivileged container).",
        by_hand("set no-cgroups = true in /etc/nvidia-container-runtime/config.toml", "only for rootless Docker"),
        by_hand("use the host's system-wide Docker", "docker context ls shows which one answers"),
        outside=True,
    ),
    cause(
        r"nvml error: driver not loaded|couldn't communicate with the NVIDIA driver",
        "The driver is not loaded",
        "The kernel runs without NVIDIA's driver: it was updated without a restart, or its module was not built.",
        by_hand("restart the host; then nvidia-smi", "dkms status shows a module that was not built"),
        outside=True,
    ),
    cause(
        r"load library failed: libnvidia-ml\.so\.1",
        "Docker does not see the driver",
        "The driver's libraries are missing on this host, or Docker was installed as a snap and cannot see them.",
        by_hand("nvidia-smi on that host; `snap list docker`", "remove the snap and install docker-ce"),
        outside=True,
    ),
    cause(
        r"ldcache error: open failed: (\S{1,100}): no such file",
        "NVIDIA's toolkit looks for another ldconfig",
        "The toolkit is set up for another distribution: there is no {0}.",
        by_hand('set ldconfig = "@/sbin/ldconfig" in /etc/nvidia-container-runtime/config.toml'),
        outside=True,
    ),
    cause(
        r"nvidia-container-cli(?:\.real)?: mount error: file creation failed: \S{1,400}: file exists",
        "The image brings its own driver",
        "The image holds a library that the host's driver has to put there.",
        by_hand("use another image", "this one was made from a running GPU container"),
        outside=True,
    ),
    cause(
        r"nvidia-container-cli(?:\.real)?: device error: .{0,80}unknown device",
        "There is no such GPU on this host",
        "The number or id of a GPU that was asked for does not exist there.",
        by_hand("check NVIDIA_VISIBLE_DEVICES and the cluster's GPUs: nvidia-smi -L"),
        outside=True,
    ),
    cause(
        r"failed to stat CDI host device|CDI device injection failed|failed to inject CDI devices",
        "Docker's list of devices is out of date",
        "NVIDIA's toolkit has not listed this host's devices, or the driver changed since.",
        by_hand("sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"),
        outside=True,
    ),
    cause(
        r'adding custom device "(/dev/[\w/.-]{1,100})": no such file',
        "A device is missing on this host",
        "The host has no {0}.",
        by_hand("sudo modprobe ib_uverbs rdma_ucm", "for /dev/infiniband; else remove the device from the cluster"),
        outside=True,
    ),
    # devcontainers/cli#613
    cause(
        r"bind (?:mount )?source path does not exist: (\S{1,300})",
        "A folder to mount does not exist",
        "The host has no {0}.",
        by_hand("make the folder on that host, or correct the mount", "Docker installed as a snap sees only the home"),
        outside=True,
    ),
    cause(
        r"error while creating mount source path '([^']{1,300})'",
        "A folder to mount cannot be made",
        "Docker may not make {0} on that host: the disk is read-only, or a network drive refuses root.",
        by_hand("make the folder yourself, or correct the mount"),
        outside=True,
    ),
    # moby/moby#18632
    cause(
        r"x509: certificate",
        "The registry's certificate is not accepted",
        "The host's clock is wrong, a proxy stands in between, or the registry's certificate is its own.",
        by_hand("check the clock: timedatectl"),
        by_hand("put the registry's certificate into /etc/docker/certs.d/REGISTRY/ca.crt on that host"),
        outside=True,
    ),
    # PaddlePaddle/PaddleSpeech#477
    cause(
        r"error unmarshalling content: |invalid character '<' looking for beginning of value",
        "Something else answers in the registry's place",
        "Docker got a web page instead of a registry's answer: from a proxy, a login page of the network, or a registry"
        " with a fault.",
        by_hand("check that host's proxy and network: curl -I https://REGISTRY/v2/"),
        by_hand("launch again later, or send the image from the workstation"),
        outside=True,
    ),
    # moby/moby#51335
    cause(
        r"net/http: (?:TLS handshake timeout|request canceled)|dial tcp: lookup \S{1,200}|proxyconnect tcp|"
        r"dial tcp \S{1,200}: (?:i/o timeout|connect: |getsockopt: )|"
        r"(?:Get|Head) \"?https?://\S{1,300}: context deadline exceeded",
        "The registry cannot be reached",
        "The host cannot reach the registry: no network, no name server, or a proxy that Docker does not know.",
        by_hand("check that host's network and name server: curl -I https://REGISTRY/v2/"),
        by_hand("send the image from the workstation", "`distribute: workstation` needs no network on the hosts"),
        outside=True,
    ),
    cause(
        r"[Nn]o such image: (\S{1,300})",
        "The image is not on this host",
        "There is no {0} on that host.",
        by_hand("launch again: the image is pulled or sent"),
        outside=True,
    ),
    cause(
        r"invalid reference format",
        "Not a name of an image",
        "`container` is not the name of an image: it holds blanks, capitals or other letters that names may not have.",
        by_hand("correct `container`"),
        outside=True,
    ),
    cause(
        r"client version (\S{1,20}) is too (?:old|new)\.",
        "Docker's versions do not fit together",
        "A program speaks version {0} of Docker's API, which the daemon refuses.",
        by_hand("update Docker on that host, or set DOCKER_API_VERSION"),
        outside=True,
    ),
    cause(
        r"^(?:\S{1,200}: )?Illegal instruction(?: \(core dumped\))?$",
        "The image is for another processor",
        "A program of this image uses instructions that the host's processor does not have.",
        _ARM_IMAGE,
        weight=Weight.HINT,
    ),
    # KatherLab/LLMAIx#5
    cause(
        r'exec: "(\S{1,100})": (?:permission denied|is a directory|stat \S{1,100}: no such file)',
        "The command is not a program",
        "The container was to start {0}, which is there but cannot be run, or is not there.",
        by_hand("correct the first word of the command, or executor_config.entrypoint"),
        by_hand("start a script by its shell: `bash FILE`"),
        outside=True,
    ),
    cause(
        r'exec: "(\S{1,100})": executable file not found in \$PATH',
        "The image lacks a program",
        "There is no `{0}` in this image, and the start script needs it.",
        by_hand("check `container`: it must be an image of this engine, with a shell"),
        outside=True,
    ),
    # NVIDIA/nvidia-container-toolkit#434
    cause(
        r'could not select device driver "cdi"',
        "Docker has no GPU on this host",
        "The GPU is asked for by its CDI name, and CDI is not switched on in Docker.",
        by_hand(
            "sudo nvidia-ctk runtime configure --runtime=docker --cdi.enabled && sudo systemctl restart docker",
            "newer releases of Docker have it on by themselves",
        ),
        _TOOLKIT,
        outside=True,
    ),
    cause(
        r"could not select device driver|"
        r"[Uu]nknown (?:or invalid )?runtime(?: name| specified)?:? nvidia|failed to discover GPU vendor from CDI|"
        r"unresolvable CDI devices? nvidia",
        "Docker has no GPU on this host",
        "Docker on this host is not set up for the GPU.",
        _TOOLKIT,
        outside=True,
    ),
    # NVIDIA/nvidia-container-toolkit#1034, #1038
    cause(
        r"nvidia-container-cli(?:\.real)?: mount error: mount operation failed: (\S{1,300}): permission denied",
        "Docker may not mount into containers here",
        "NVIDIA's toolkit may not mount {0}: Docker's folder is of another user, or Docker runs without root rights.",
        by_hand("use the host's system-wide Docker", "docker context ls shows which one answers"),
        by_hand("leave Docker's data-root in a folder of root"),
        outside=True,
    ),
    # mudler/LocalAGI#49
    cause(
        r"nvidia-container-cli(?:\.real)?: requirement error: invalid expression",
        "The toolkit does not understand the image",
        "The image asks for a driver in words that this version of NVIDIA's toolkit does not know.",
        by_hand("update nvidia-container-toolkit on that host"),
        set_env("NVIDIA_DISABLE_REQUIRE", "1", "the image's demands are not checked"),
        outside=True,
    ),
    # NVIDIA/nvidia-container-toolkit: src/nvc.c names the step that failed.
    cause(
        r"nvidia-container-cli(?:\.real)?: "
        r"((?:initialization|detection|requirement|container|mount|device) error: .{1,200})",
        "NVIDIA's toolkit cannot give the GPU to a container",
        "It says: {0}",
        by_hand("nvidia-smi on that host", "where that fails, too, the driver is the cause: restart the host"),
        by_hand("sudo nvidia-container-cli -k -d /dev/tty info", "shows the step that fails"),
        by_hand("update nvidia-container-toolkit on that host"),
        generic=True,
        outside=True,
    ),
    cause(
        r"permission denied while trying to connect to the [Dd]ocker|"
        rf"dial unix {SHORT_GAP}docker\.sock: {SHORT_GAP}permission denied",
        "No access to Docker",
        "Your user may not use Docker on this host.",
        by_hand("sudo usermod -aG docker $USER", "then log in again"),
        outside=True,
    ),
    cause(
        r"Cannot connect to the Docker daemon|Bad response from Docker engine|"
        r"dial unix \S{1,200}\.sock: connect: (?:connection refused|no such file)",
        "Docker does not run",
        "The Docker daemon does not answer on this host.",
        by_hand("sudo systemctl start docker"),
        outside=True,
    ),
    cause(
        r'Conflict\. The container name "/?([^"]+)" is already in use',
        "A container has this name already",
        "{0} exists on this host, most often from an earlier launch.",
        by_hand("stop and remove it in the fleet view"),
        outside=True,
    ),
    cause(
        r"docker-import-\S{1,200}: no such file",
        "The image is incomplete",
        "The transfer of the image broke off.",
        by_hand("launch again, and check the disk"),
        outside=True,
    ),
    cause(
        rf"REMOTE HOST IDENTIFICATION HAS CHANGED|host key {GAP}changed",
        "The host's key has changed",
        "The host was reinstalled, or another machine intercepts the connection. A changed key is not accepted.",
        by_hand("ssh-keygen -R HOST", "only if you know why the key is new"),
        outside=True,
    ),
    cause(
        r"Host key verification failed",
        "The host's key is not known",
        "The host's key was not confirmed yet.",
        by_hand("connect once and compare the fingerprint"),
        outside=True,
    ),
    cause(
        rf"time(?:d )?-?out{GAP}banner exchange|banner exchange{GAP}time(?:d )?-?out",
        "The host hardly answers",
        "The host accepts connections, but answers nothing: most often it has run out of memory.",
        by_hand("wait, or restart it; do not launch there meanwhile"),
        outside=True,
    ),
    cause(
        r"ssh: connect to host (\S{1,300}) port (\d+): (.+)",
        "The host cannot be reached",
        "{0} port {1}: {2}. An address of the fast link is often only reachable from the other hosts.",
        by_hand("use the management address in the cluster"),
        outside=True,
    ),
    cause(
        rf'rsync: {SHORT_GAP}mkdir (?:"([^"]{{1,200}})"|([^" ]{{1,200}})) failed: (.+)|rsync: {GAP}(Permission denied)',
        "The copy cannot be written",
        "The cache folder on the host is missing or belongs to another user.",
        by_hand("sudo chown -R $USER ~/.cache/huggingface on that host"),
        outside=True,
    ),
    cause(
        r"Unknown runtime: '?([\w-]+)",
        "The recipe wants another launcher",
        "{0} is not an engine that this program launches.",
        by_hand("choose a recipe for vLLM, SGLang or llama.cpp"),
        outside=True,
    ),
    cause(
        r"OCI runtime create failed: ",
        "Docker cannot start the container",
        _innermost,
        by_hand("correct what it names: executor_config, mounts and devices of the recipe or the cluster"),
        by_hand("restart Docker, then the host; update docker-ce, containerd.io and nvidia-container-toolkit there"),
        generic=True,
        outside=True,
        tells_below=True,
    ),
)
