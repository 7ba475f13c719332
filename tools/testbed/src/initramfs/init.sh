#!/bin/sh
# First process of Linux in the test bed: bring up the TEE, then run the script or give a shell.
/bin/busybox --install -s /usr/bin
export PATH=/usr/sbin:/usr/bin HOME=/root TERM=vt100
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts pts /dev/pts
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
exec </dev/console >/dev/console 2>&1
for module in tee optee virtio_console; do
    if [ -f /lib/modules/$module.ko ]; then insmod /lib/modules/$module.ko; fi
done
tee-supplicant -d
tries=0
while [ ! -e /dev/tee0 ] && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
ip link set lo up
read -r uptime _ </proc/uptime
echo "corewarden-guest: ready $(uname -r) $uptime"
if [ -f /etc/corewarden/script ]; then
    sh /etc/corewarden/script
    echo "corewarden-guest: exit $?"
    poweroff -f
fi
cd /root
if grep -qw corewarden.quiet /proc/cmdline; then
    # A program talks to this shell and must see its answers only: no echo, no prompt, no line editor.
    stty -echo
    setsid sh -c 'exec sh </dev/ttyAMA0 >/dev/ttyAMA0 2>&1'
else
    setsid cttyhack sh
fi
poweroff -f
