/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of ssi-init that need no kernel of their own: coldplug over a made-up sysfs, mount options, services, superblocks, orders. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"
#include "ssi-init/coldplug.h"
#include "ssi-init/disk.h"
#include "ssi-init/keep.h"
#include "ssi-init/nfs.h"
#include "ssi-init/overlay.h"
#include "ssi-init/service.h"
#include "ssi-init/shared.h"
#include "ssi-init/shutdown.h"

static char dir[] = "/tmp/test-init-XXXXXX";

static void put(const char *path, const char *text)
{
	char full[512], parent[512];

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	snprintf(parent, sizeof(parent), "%s", full);
	*strrchr(parent, '/') = '\0';
	assert_int_equal(ssi_path_mkdirs(parent, 0755), 0);
	assert_int_equal(ssi_file_write_atomic(full, text, strlen(text), 0644), 0);
}

static int a_machine(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	put("bus/pci/devices/0000:00:03.0/modalias", "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00\n");
	put("bus/pci/devices/0000:00:04.0/modalias", "pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00\n");
	put("bus/pci/devices/0000:00:04.0/driver/bind", "");
	put("bus/pci/devices/0000:00:02.0/modalias", "pci:v00001234d00001111sv00001AF4sd00001100bc03sc00i00\n");
	put("bus/pci/devices/0000:00:01.0/config", "no modalias here");
	put("bus/virtio/devices/virtio0/modalias", "virtio:d00000001v00001AF4\n");
	put("bus/virtio/drivers/virtio_net/bind", "");
	put("class/net/lo/address", "00:00:00:00:00:00\n");
	put("class/net/eth7/address", "52:54:00:AB:00:01\n");
	return 0;
}

static int no_machine(void **state)
{
	return ssi_path_rmtree(dir);
}

struct found { unsigned n, network, storage, driven; };

static int count(const struct coldplug_device *d, void *userdata)
{
	struct found *f = userdata;

	f->n++;
	f->network += d->class == COLDPLUG_NETWORK;
	f->storage += d->class == COLDPLUG_STORAGE;
	f->driven += d->driven;
	return 0;
}

static int stop(const struct coldplug_device *d, void *userdata)
{
	return -ECANCELED;
}

static void coldplug_walks_every_bus(void **state)
{
	struct found f = { 0 };
	struct ssi_err e;

	assert_int_equal(coldplug_walk(dir, count, &f, &e), 0);
	assert_int_equal(f.n, 4);
	assert_int_equal(f.network, 2);
	assert_int_equal(f.storage, 1);
	assert_int_equal(f.driven, 1);
	assert_int_equal(coldplug_walk(dir, stop, NULL, &e), -ECANCELED);
	assert_int_equal(coldplug_walk("/nonexistent", count, &f, &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent"));
}

static void classes_of_devices(void **state)
{
	assert_int_equal(coldplug_class_of("pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00"), COLDPLUG_NETWORK);
	assert_int_equal(coldplug_class_of("pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01"), COLDPLUG_STORAGE);
	assert_int_equal(coldplug_class_of("pci:v00008086d00002918sv00001AF4sd00001100bc06sc01i00"), COLDPLUG_OTHER);
	assert_int_equal(coldplug_class_of("virtio:d00000001v00001AF4"), COLDPLUG_NETWORK);
	assert_int_equal(coldplug_class_of("virtio:d00000002v00001AF4"), COLDPLUG_STORAGE);
	assert_int_equal(coldplug_class_of("virtio:d00000004v00001AF4"), COLDPLUG_OTHER);
	assert_int_equal(coldplug_class_of("usb:v0BDAp8153d3000dc00dsc00dp00icFFiscFFip00in00"), COLDPLUG_OTHER);
	assert_int_equal(coldplug_class_of("pci:"), COLDPLUG_OTHER);
	assert_int_equal(coldplug_class_of(""), COLDPLUG_OTHER);
}

static void interfaces_by_address(void **state)
{
	char name[16];

	assert_int_equal(coldplug_interface(dir, "52:54:00:ab:00:01", name), 1);
	assert_string_equal(name, "eth7");
	assert_int_equal(coldplug_interface(dir, "52:54:00:ab:00:02", name), 0);
	assert_int_equal(coldplug_interface("/nonexistent", "52:54:00:ab:00:02", name), 0);
}

static void an_alias_once(void **state)
{
	static struct coldplug_seen s;

	assert_false(coldplug_seen(&s, "virtio:d00000001v00001AF4"));
	assert_true(coldplug_seen(&s, "virtio:d00000001v00001AF4"));
	assert_false(coldplug_seen(&s, "virtio:d00000002v00001AF4"));
	s.n = sizeof(s.digests) / sizeof(s.digests[0]);
	assert_true(coldplug_seen(&s, "virtio:d00000003v00001AF4"));
}

static void options_of_the_overlay(void **state)
{
	char o[128];

	assert_int_equal(overlay_options("/run/ssi/root/lower", "/run/ssi/root/rw", false, o, sizeof(o)), 0);
	assert_string_equal(o, "lowerdir=/run/ssi/root/lower,upperdir=/run/ssi/root/rw/upper,workdir=/run/ssi/root/rw/work");
	assert_int_equal(overlay_options("/a:b", "/rw", false, o, sizeof(o)), -EINVAL);
	assert_int_equal(overlay_options("/a", "/r,w", false, o, sizeof(o)), -EINVAL);
	assert_int_equal(overlay_options("/a", "/rw", false, o, 20), -ENOSPC);
	/* One that is kept while the image is exchanged is never mounted with what makes that undefined. */
	assert_int_equal(overlay_options("/a", "/rw", true, o, sizeof(o)), 0);
	assert_string_equal(o, "lowerdir=/a,upperdir=/rw/upper,workdir=/rw/work,index=off,metacopy=off,redirect_dir=off,xino=off");
}

static void a_layer_in_memory(void **state)
{
	char o[64];

	assert_int_equal(overlay_memory(512u << 20, 0, o, sizeof(o)), 0);
	assert_string_equal(o, "mode=0755,size=262144k");
	assert_int_equal(overlay_memory(512u << 20, 128u << 20, o, sizeof(o)), 0);
	assert_string_equal(o, "mode=0755,size=196608k");
	assert_int_equal(overlay_memory(1, 2, o, sizeof(o)), 0);
	assert_int_equal(overlay_memory(1, 2, o, 10), -ENOSPC);
}

static void options_of_nfs(void **state)
{
	struct ssi_bootargs a = { 0 };
	char o[256];

	inet_pton(AF_INET, "10.77.0.1", &a.master);
	inet_pton(AF_INET, "10.77.0.11", &a.address);
	assert_int_equal(nfs_options(&a, "nocto", o, sizeof(o)), 0);
	assert_non_null(strstr(o, "vers=4.2,"));
	assert_non_null(strstr(o, ",hard,"));
	assert_non_null(strstr(o, ",nocto,addr=10.77.0.1,clientaddr=10.77.0.11"));
	assert_int_equal(nfs_options(&a, "nocto", o, 30), -ENOSPC);
}

/* The stage's second half; the mount itself is the lab's (tests/lab/roots/40-shared.bats). */
static void users_of_a_new_root(void **state)
{
	_cleanup_free_ char *root = ssi_path_join(dir, "sysroot"), *image = ssi_path_join(dir, "image"), *master = ssi_path_join(dir, "users");
	_cleanup_free_ char *path = ssi_path_join(root, "etc/passwd"), *text = NULL;

	put("sysroot/etc/passwd", "root:x:0:0::/root:/bin/sh\nold:*:1001:1::/:/bin/sh\n");
	put("image/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
	put("users/passwd", "ann:*:1000:1000::/home/ann:/bin/sh\n");
	put("users/group", "ann:*:1000:\n");
	assert_int_equal(shared_users_write(root, image, master, NULL), 0);
	assert_int_equal(ssi_file_read(path, 4096, &text, NULL), 0);
	assert_string_equal(text, "root:x:0:0::/root:/bin/sh\nann:*:1000:1000::/home/ann:/bin/sh\n");
}

static int parse(const char *text, struct service *s, struct ssi_err *e)
{
	return service_parse("/etc/ssi/services.d/10-sshd.ini", text, strlen(text), s, e);
}

static void services(void **state)
{
	struct ssi_err e;
	struct service s;

	assert_int_equal(parse("[service]\ncommand = /usr/sbin/sshd -D\n", &s, &e), 0);
	assert_string_equal(s.name, "10-sshd");
	assert_string_equal(s.command, "/usr/sbin/sshd -D");
	assert_int_equal(s.restart, SERVICE_ALWAYS);
	assert_int_equal(parse("[service]\ncommand = /bin/a\nrestart = on-failure\n", &s, &e), 0);
	assert_int_equal(s.restart, SERVICE_ON_FAILURE);
	assert_int_equal(parse("[service]\ncommand = /bin/a\nrestart = no\n", &s, &e), 0);
	assert_int_equal(s.restart, SERVICE_NO);
	assert_int_equal(service_parse("20-net.d.ini", "[service]\ncommand = /bin/a\n", 26, &s, &e), 0);
	assert_string_equal(s.name, "20-net.d");
}

static void services_with_mistakes(void **state)
{
	static const struct { const char *text, *says; } bad[] = {
		{ "", "10-sshd.ini: [service] has no command" },
		{ "[service]\nrestart = no\n", "has no command" },
		{ "[service]\ncomand = /bin/a\n", "10-sshd.ini:2: " },
		{ "[service]\ncommand = sshd\n", "10-sshd.ini:2: " },
		{ "[service]\ncommand = /bin/sh -c \"a\n", "quote" },
		{ "[service]\ncommand = /bin/a\nrestart = sometimes\n", "10-sshd.ini:3: " },
		{ "[servce]\ncommand = /bin/a\n", "10-sshd.ini:1: " },
	};
	struct ssi_err e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct service s = { .name = "untouched" };

		assert_true(parse(bad[i].text, &s, &e) < 0);
		assert_non_null(strstr(e.text, bad[i].says));
		assert_string_equal(s.name, "untouched");
	}
}

static void words_of_a_command(void **state)
{
	char buf[SERVICE_COMMAND], *w[SERVICE_WORDS + 1], many[SERVICE_COMMAND + 1];

	assert_int_equal(service_words("  /bin/sh\t-c \"echo  two words\" a\"b c\"d \"\" ", buf, w), 5);
	assert_string_equal(w[0], "/bin/sh");
	assert_string_equal(w[2], "echo  two words");
	assert_string_equal(w[3], "ab cd");
	assert_string_equal(w[4], "");
	assert_null(w[5]);
	assert_int_equal(service_words("", buf, w), 0);
	assert_int_equal(service_words("/bin/a \"b", buf, w), -EINVAL);
	memset(many, 'a', SERVICE_COMMAND);
	many[SERVICE_COMMAND] = '\0';
	assert_int_equal(service_words(many, buf, w), -E2BIG);
	for (int i = 0; i < SERVICE_COMMAND - 1; i++)
		many[i] = i % 2 ? ' ' : 'a';
	many[SERVICE_COMMAND - 1] = '\0';
	assert_int_equal(service_words(many, buf, w), -E2BIG);
}

static void a_directory_of_services(void **state)
{
	static struct service_table t;
	char path[64];

	put("services.d/20-b.ini", "[service]\ncommand = /bin/b\n");
	put("services.d/10-a.ini", "[service]\ncommand = /bin/a\n");
	put("services.d/15-bad.ini", "[service]\n");
	put("services.d/notes.txt", "not a service");
	snprintf(path, sizeof(path), "%s/services.d", dir);
	ssi_log_open("test", LOG_EMERG);
	assert_int_equal(service_load(path, &t), 0);
	assert_int_equal(t.n, 2);
	assert_string_equal(t.s[0].name, "10-a");
	assert_string_equal(t.s[1].name, "20-b");
	assert_int_equal(service_load("/nonexistent", &t), 0);
	assert_int_equal(t.n, 0);
	/* A directory that cannot be read is not one without services. */
	put("no-folder", "");
	snprintf(path, sizeof(path), "%s/no-folder", dir);
	assert_int_equal(service_load(path, &t), -ENOTDIR);
}

static void what_stays_of_the_initramfs(void **state)
{
	char *words[KEEP_WORDS];

	assert_true(keep_file("libc.so.6"));
	assert_true(keep_file("ld-linux-x86-64.so.2"));
	assert_true(keep_file("libplugin.so"));
	assert_true(keep_file("init-drivers"));
	assert_false(keep_file("nfsv4.ko"));
	assert_false(keep_file("modules.softdep"));
	assert_false(keep_file("busybox"));
	assert_false(keep_file("so"));
	/* Nothing was kept: the program is started from the image. */
	assert_int_equal(keep_command("/usr/sbin/ssi-agent", words), 0);
}

static void superblocks(void **state)
{
	uint8_t p[DISK_PROBE] = { 0 };
	struct disk d = { 0 };

	assert_int_equal(disk_identify(p, &d), -EMEDIUMTYPE);
	memcpy(p + 1024, "\xe2\xe1\xf5\xe0", 4);
	memcpy(p + 1024 + 64, "sixteen-letters!", 16);
	assert_int_equal(disk_identify(p, &d), 0);
	assert_string_equal(d.type, "erofs");
	assert_string_equal(d.label, "sixteen-letters!");
	memset(p, 0, sizeof(p));
	memcpy(p + 1024 + 0x38, "\x53\xef", 2);
	memcpy(p + 1024 + 0x78, "state", 5);
	assert_int_equal(disk_identify(p, &d), 0);
	assert_string_equal(d.type, "ext4");
	assert_string_equal(d.label, "state");
	assert_string_equal(d.uuid, "00000000-0000-0000-0000-000000000000");
	memcpy(p + 1024 + 0x68, "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef", 16);
	assert_int_equal(disk_identify(p, &d), 0);
	assert_string_equal(d.uuid, "01234567-89ab-cdef-0123-456789abcdef");
	memset(p, 0, sizeof(p));
	memcpy(p, "XFSB", 4);
	memcpy(p + 32, "\xff\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xee", 16);
	memcpy(p + 108, "twelve-bytes", 12);
	assert_int_equal(disk_identify(p, &d), 0);
	assert_string_equal(d.type, "xfs");
	assert_string_equal(d.label, "twelve-bytes");
	assert_string_equal(d.uuid, "ff234567-89ab-cdef-0123-456789abcdee");
}

static void orders(void **state)
{
	sigset_t set;

	assert_int_equal(shutdown_order(SIGINT), RB_AUTOBOOT);
	assert_int_equal(shutdown_order(SIGTERM), RB_AUTOBOOT);
	assert_int_equal(shutdown_order(SIGRTMIN + 5), RB_AUTOBOOT);
	assert_int_equal(shutdown_order(SIGUSR2), RB_POWER_OFF);
	assert_int_equal(shutdown_order(SIGRTMIN + 4), RB_POWER_OFF);
	assert_int_equal(shutdown_order(SIGCHLD), 0);
	assert_int_equal(shutdown_order(SIGHUP), 0);
	shutdown_signals(&set);
	for (int i = 1; i < SIGRTMAX; i++)
		if (i != 32 && i != 33)         /* the C library's own */
			assert_int_equal(sigismember(&set, i), shutdown_order(i) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(coldplug_walks_every_bus),
		cmocka_unit_test(classes_of_devices),
		cmocka_unit_test(interfaces_by_address),
		cmocka_unit_test(an_alias_once),
		cmocka_unit_test(options_of_the_overlay),
		cmocka_unit_test(a_layer_in_memory),
		cmocka_unit_test(options_of_nfs),
		cmocka_unit_test(users_of_a_new_root),
		cmocka_unit_test(services),
		cmocka_unit_test(services_with_mistakes),
		cmocka_unit_test(words_of_a_command),
		cmocka_unit_test(a_directory_of_services),
		cmocka_unit_test(what_stays_of_the_initramfs),
		cmocka_unit_test(superblocks),
		cmocka_unit_test(orders),
	};

	return cmocka_run_group_tests(tests, a_machine, no_machine);
}
