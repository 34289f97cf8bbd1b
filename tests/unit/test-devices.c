/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the agent reads of devices, and what it switches on, in a sysfs that was made up. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"
#include "libssi/model/uevent.h"
#include "ssi-agent/devices.h"
#include "ssi-agent/online.h"
#include "ssi/membership/membership.pb-c.h"

struct fixture { char dir[64]; int sys; };

static void put(const struct fixture *x, const char *path, const char *text)
{
	char full[256], *slash;

	snprintf(full, sizeof(full), "%s/%s", x->dir, path);
	slash = strrchr(full, '/');
	*slash = '\0';
	assert_int_equal(ssi_path_mkdirs(full, 0755), 0);
	*slash = '/';
	assert_int_equal(ssi_file_write_atomic(full, text, strlen(text), 0644), 0);
}

static void driver(const struct fixture *x, const char *device, const char *name)
{
	char to[128], full[256];

	snprintf(to, sizeof(to), "../../../bus/pci/drivers/%s", name);
	snprintf(full, sizeof(full), "%s/%s/driver", x->dir, device);
	assert_int_equal(symlink(to, full), 0);
}

static void pci(const struct fixture *x, const char *address, const char *class, const char *vendor, const char *device)
{
	char path[128];

	snprintf(path, sizeof(path), "bus/pci/devices/%s/class", address);
	put(x, path, class);
	snprintf(path, sizeof(path), "bus/pci/devices/%s/vendor", address);
	put(x, path, vendor);
	snprintf(path, sizeof(path), "bus/pci/devices/%s/device", address);
	put(x, path, device);
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	strcpy(x->dir, "/tmp/test-devices.XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	x->sys = open(x->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(x->sys >= 0);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	ssi_spawn_run((char *[]){ "rm", "-rf", x->dir, NULL }, 0, NULL);
	close(x->sys);
	free(x);
	return 0;
}

static void processors_are_counted(void **state)
{
	struct fixture *x = *state;

	assert_int_equal(devices_cpus(x->sys), 1);
	put(x, "devices/system/cpu/online", "0-3,6,8-9\n");
	assert_int_equal(devices_cpus(x->sys), 7);
	put(x, "devices/system/cpu/online", "0\n");
	assert_int_equal(devices_cpus(x->sys), 1);
	put(x, "devices/system/cpu/online", "7-3\n");
	assert_int_equal(devices_cpus(x->sys), 1);
}

static void devices_are_listed(void **state)
{
	struct fixture *x = *state;
	struct ssi_inventory v = { 0 };

	put(x, "class/net/lo/address", "00:00:00:00:00:00\n");
	put(x, "class/net/eth1/address", "52:54:00:00:00:02\n");
	put(x, "class/net/eth1/device/x", "");
	driver(x, "class/net/eth1/device", "e1000e");
	put(x, "class/net/eth0/address", "52:54:00:00:00:01\n");
	put(x, "class/net/eth0/device/x", "");
	driver(x, "class/net/eth0/device", "virtio_net");
	put(x, "devices/system/node/node1/cpulist", "2-3\n");
	put(x, "devices/system/node/node1/meminfo", "Node 1 MemTotal:        1024 kB\nNode 1 MemFree: 1 kB\n");
	put(x, "devices/system/node/node0/cpulist", "0-1,4\n");
	put(x, "devices/system/node/node0/meminfo", "Node 0 MemTotal:        2048 kB\n");
	put(x, "devices/system/node/possible", "0-1\n");
	pci(x, "0000:02:00.0", "0x120000\n", "0x8086\n", "0x0b25\n");
	pci(x, "0000:01:00.0", "0x030200\n", "0x10de\n", "0x20b0\n");
	driver(x, "bus/pci/devices/0000:01:00.0", "nvidia");
	pci(x, "0000:00:02.0", "0x020000\n", "0x1af4\n", "0x1041\n");
	pci(x, "0000:00:03.0", "0x030000\n", "0x1a03\n", "0x2000\n");
	devices_read(x->sys, &v);
	assert_int_equal(v.n_nics, 2);
	assert_string_equal(v.nics[0].name, "eth0");
	assert_string_equal(v.nics[0].driver, "virtio_net");
	assert_string_equal(v.nics[1].mac, "52:54:00:00:00:02");
	assert_int_equal(v.n_numa, 2);
	assert_int_equal(v.numa[0].cpus, 3);
	assert_int_equal(v.numa[1].number, 1);
	assert_int_equal(v.numa[1].memory, 1024 * 1024);
	assert_int_equal(v.n_accelerators, 2);
	assert_string_equal(v.accelerators[0].driver, "nvidia");
	assert_int_equal(v.accelerators[0].vendor, 0x10de);
	assert_int_equal(v.accelerators[0].pci_class, 0x030200);
	assert_string_equal(v.accelerators[1].address, "0000:02:00.0");
	assert_string_equal(v.accelerators[1].driver, "");
	assert_true(devices_driven(x->sys, "/bus/pci/devices/0000:01:00.0"));
	assert_false(devices_driven(x->sys, "/bus/pci/devices/0000:02:00.0"));
}

static void lists_are_bounded(void **state)
{
	struct fixture *x = *state;
	struct ssi_inventory v = { 0 };
	char name[64];

	for (unsigned i = 0; i < SSI_INVENTORY_ACCELERATORS + 3; i++) {
		snprintf(name, sizeof(name), "0000:%02x:00.0", i);
		pci(x, name, "0x030000\n", "0x1002\n", "0x1\n");
		snprintf(name, sizeof(name), "class/net/eth%u/address", i);
		put(x, name, "52:54:00:00:00:01\n");
		snprintf(name, sizeof(name), "class/net/eth%u/device/x", i);
		put(x, name, "");
		snprintf(name, sizeof(name), "class/net/eth%u/device", i);
		driver(x, name, "igb");
	}
	devices_read(x->sys, &v);
	assert_int_equal(v.n_accelerators, SSI_INVENTORY_ACCELERATORS);
	assert_int_equal(v.n_nics, SSI_INVENTORY_NICS);
}

static void new_ones_come_online(void **state)
{
	struct fixture *x = *state;
	char line[8];

	assert_true(online_is("/devices/system/cpu/cpu1"));
	assert_true(online_is("/devices/system/memory/memory40"));
	assert_false(online_is("/devices/system/cpu/cpuidle"));
	assert_false(online_is("/devices/pci0000:00/0000:00:02.0"));
	put(x, "devices/system/cpu/cpu1/online", "0\n");
	put(x, "devices/system/memory/memory40/online", "1\n");
	assert_int_equal(online_bring(x->sys, "/devices/system/cpu/cpu1"), 1);
	assert_int_equal(ssi_file_read_line_at(x->sys, "devices/system/cpu/cpu1/online", line, sizeof(line)), 0);
	assert_string_equal(line, "1");
	assert_int_equal(online_bring(x->sys, "/devices/system/memory/memory40"), 0);
	assert_int_equal(online_bring(x->sys, "/devices/system/cpu/cpu2"), -ENOENT);
	assert_int_equal(online_bring(x->sys, "/devices/virtual/net/lo"), -EINVAL);
}

static void uevents_are_taken_apart(void **state)
{
	static const char cpu[] = "add@/devices/system/cpu/cpu1\0ACTION=add\0DEVPATH=/devices/system/cpu/cpu1\0SUBSYSTEM=cpu\0SEQNUM=9";
	static const char udev[] = "libudev\0\xfe\xed\xca\xfe";
	struct ssi_uevent u;

	assert_int_equal(ssi_uevent_parse(cpu, sizeof(cpu), &u), 0);
	assert_string_equal(u.action, "add");
	assert_string_equal(u.devpath, "/devices/system/cpu/cpu1");
	assert_string_equal(u.subsystem, "cpu");
	assert_string_equal(u.modalias, "");
	assert_int_equal(ssi_uevent_parse(cpu, sizeof(cpu) - 1, &u), -EBADMSG);
	assert_int_equal(ssi_uevent_parse(udev, sizeof(udev), &u), -EBADMSG);
	assert_int_equal(ssi_uevent_parse(cpu, 0, &u), -EBADMSG);
}

static void changes_are_said(void **state)
{
	struct ssi_inventory was = { .cpus = 1, .memory = 1 << 30, .n_nics = 1, .nics = { { "eth0", "52:54:00:00:00:01", "virtio_net" } }, .n_numa = 1 };
	struct ssi_inventory is = was;
	struct ssi_buf text = SSI_BUF_INIT;

	is.memory += 1 << 20;
	assert_int_equal(ssi_inventory_diff(&was, &is, &text), 0);
	is.cpus = 2;
	is.memory = 3ull << 29;
	is.nics[is.n_nics++] = (struct ssi_nic){ "eth1", "52:54:00:00:00:02", "e1000e" };
	is.accelerators[is.n_accelerators++] = (struct ssi_accelerator){ "0000:01:00.0", "", 0x10de, 0x20b0, 0x030200 };
	assert_int_equal(ssi_inventory_diff(&was, &is, &text), 1);
	assert_string_equal(text.data, "processors 1 to 2; memory 1.0 GiB to 1.5 GiB; NIC eth1 (e1000e, 52:54:00:00:00:02) added; "
				       "accelerator 0000:01:00.0 (10de:20b0) added");
	ssi_buf_free(&text);
	assert_int_equal(ssi_inventory_diff(&is, &was, &text), 1);
	assert_non_null(strstr(text.data, "NIC eth1 (e1000e, 52:54:00:00:00:02) removed"));
	ssi_buf_free(&text);
}

static void crosses_the_wire(void **state)
{
	struct ssi_inventory v = {
		.cpus = 3, .memory = 77, .cpu_model = "x", .kernel = "6.1", .arch = "x86_64",
		.n_nics = 1, .nics = { { "eth0", "52:54:00:00:00:01", "virtio_net" } },
		.n_numa = 2, .numa = { { 0, 2, 50 }, { 3, 1, 27 } },
		.n_accelerators = 1, .accelerators = { { "0000:01:00.0", "nvidia", 0x10de, 0x20b0, 0x030200 } },
	}, back;
	Ssi__Membership__Inventory *m = ssi_inventory_message(&v), *decoded;
	uint8_t buf[2048];
	size_t n;

	assert_non_null(m);
	n = ssi__membership__inventory__get_packed_size(m);
	assert_true(n < sizeof(buf));
	ssi__membership__inventory__pack(m, buf);
	free(m);
	decoded = ssi__membership__inventory__unpack(NULL, n, buf);
	assert_non_null(decoded);
	ssi_inventory_copy(&back, decoded);
	ssi__membership__inventory__free_unpacked(decoded, NULL);
	assert_int_equal(back.numa[1].number, 3);
	assert_int_equal(back.numa[1].memory, 27);
	assert_string_equal(back.accelerators[0].driver, "nvidia");
	assert_int_equal(back.accelerators[0].pci_class, 0x030200);
	assert_int_equal(back.n_nics, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(processors_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(devices_are_listed, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(new_ones_come_online, setup, teardown),
		cmocka_unit_test(uevents_are_taken_apart),
		cmocka_unit_test(changes_are_said),
		cmocka_unit_test(crosses_the_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
