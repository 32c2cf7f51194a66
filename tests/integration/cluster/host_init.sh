# First process of a test host: makes its own view of the file system, then starts dockerd and sshd.
# Argument: the host's directory, made by files.py. Environment: HOST_NAME, HOST_CIDR, GATEWAY, HOST_DISK, HOST_FOLDER,
# HOST_ROOT, HOST_DAEMON.
set -eu
d=$1
hostname "$HOST_NAME"
exec >>"$d/log/boot.log" 2>&1

# A root of another Debian takes the place of this machine's; what the host writes there is in a layer of its own.
# It becomes the root of the mount space, so that whoever enters the host by its namespaces sees it too.
if [ -n "$HOST_ROOT" ]; then
    mount -t overlay -o "lowerdir=$HOST_ROOT,upperdir=$d/layer,workdir=$d/work" overlay "$d/boot"
    mount --rbind /dev "$d/boot/dev"
    mount --rbind /sys "$d/boot/sys"
    mount -t proc proc "$d/boot/proc"
    mkdir -p "$d/boot$d"
    mount --bind "$d" "$d/boot$d"
    [ -z "$HOST_FOLDER" ] || mount --bind "$HOST_FOLDER" "$d/boot/mnt"
    cd "$d/boot"
    pivot_root . .
    umount -l .
    cd /
    mkdir -p /var/lib/containerd /var/lib/containers
    [ -z "$HOST_FOLDER" ] || HOST_FOLDER=/mnt
fi

# /run is the host's own, so that /var/run/docker.sock is this host's daemon.
mount -t tmpfs -o mode=755,size=256m tmpfs /run
mkdir -p /run/sshd /run/lock /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/cgroup /sys/fs/cgroup
mount -t tmpfs -o size=4g,mode=1777 tmpfs /dev/shm

# A small disk holds what fills disks on a Spark: Docker's data and the model cache.
if [ -n "$HOST_DISK" ]; then
    mount -t tmpfs -o "size=$HOST_DISK" tmpfs "$d/disk"
    mkdir "$d/disk/docker" "$d/disk/containerd" "$d/disk/huggingface"
    mount --bind "$d/disk/docker" "$d/docker"
    mount --bind "$d/disk/containerd" "$d/containerd"
fi

for name in passwd group shadow hosts hostname resolv.conf ssh docker; do
    [ -e "/etc/$name" ] || { echo "no /etc/$name on this machine to mount over"; exit 1; }
    mount --bind "$d/etc/$name" "/etc/$name"
done
# First of all mounts over directories: what is given may be in one that the host replaces, such as /root.
[ -z "$HOST_FOLDER" ] || mount --bind --options ro "$HOST_FOLDER" /mnt
# Mount points are directories that exist on every Debian: a directory made here and removed later
# would be detached in every other mount namespace as well.
mount --bind "$d/docker" /srv
case $HOST_DAEMON in
containerd) mount --bind "$d/containerd" /var/lib/containerd ;;
podman) mount --bind "$d/podman" /var/lib/containers ;;
esac
mount --bind "$d/root" /root
[ -z "$HOST_DISK" ] || mount --bind "$d/disk/huggingface" /root/.cache/huggingface
mount --bind "$d/home" /home
mount --bind "$d/log" /var/log
mount -t overlay -o "lowerdir=$d/bin:/usr/local/bin" overlay /usr/local/bin
mount --bind "$d/etc/meminfo" /proc/meminfo
# A boot of its own, so that what dates from before a power cut can be told.
cat /proc/sys/kernel/random/uuid >"$d/etc/boot_id"
mount --bind "$d/etc/boot_id" /proc/sys/kernel/random/boot_id

ip link set lo up
while ! ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
ip addr add "$HOST_CIDR" dev eth0
ip link set eth0 up
ip route add default via "$GATEWAY"

daemon=$HOST_DAEMON
exec 8>>"$d/log/dockerd.log" 9>>"$d/log/sshd.log"
mount --bind "$d/tmp" /tmp
cd /
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset d HOST_NAME HOST_CIDR GATEWAY HOST_DISK HOST_FOLDER HOST_ROOT HOST_DAEMON
case $daemon in
docker) dockerd >&8 2>&8 & ;;
containerd)
    containerd >&8 2>&8 &
    dockerd >&8 2>&8 &
    ;;
podman)
    mkdir /run/podman
    ln -s podman/podman.sock /run/docker.sock
    podman --cgroup-manager=cgroupfs --events-backend=file system service --time=0 unix:///run/podman/podman.sock >&8 2>&8 &
    echo $! >/run/docker.pid
    ;;
esac
/usr/sbin/sshd -D -e -f /etc/ssh/sshd_config >&9 2>&9 &
echo $! >/run/sshd.pid
exec 8>&- 9>&-

# Stay as the first process, and let bash reap what is orphaned.
trap : TERM INT HUP
while :; do sleep 86400 & wait $! || :; done
