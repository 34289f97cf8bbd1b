/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text that iPXE gets for /boot/MAC. Called by boot.c; tested alone. Understands nothing of who may boot: boot.c does. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "bootsvc/bootscript.h"

#define KERNEL_ARGS_MAX 2048         /* COMMAND_LINE_SIZE of x86 */

static const char *text_of(struct in_addr a, char buf[INET_ADDRSTRLEN])
{
	return inet_ntop(AF_INET, &a, buf, INET_ADDRSTRLEN);
}

/* ${netX/mac:hexhyp} is the interface that iPXE used last, which is the one that this script came over. */
static void add_again(struct ssi_buf *to, const char *master, uint16_t port, unsigned again_s)
{
	ssi_buf_addf(to, "sleep %u\nimgfree ||\nchain --replace http://%s:%u/boot/${netX/mac:hexhyp} ||\n", again_s, master, port);
	/* The master did not answer: it may be restarting, or this machine's lease is over. */
	ssi_buf_adds(to, "echo ssi: the master does not answer, trying again\nifconf --configurator dhcp netX ||\ngoto again\n");
}

static void add_initrd(struct ssi_buf *to, const struct bootscript *b, const char *master, const char *name)
{
	ssi_buf_addf(to, "initrd --name %s http://%s:%u/image/%s/%s/%s || goto failed\n", name, master, b->http_port, b->image, b->generation, name);
}

int bootscript_boot(const struct bootscript *b, struct ssi_buf *ret)
{
	char args[KERNEL_ARGS_MAX], master[INET_ADDRSTRLEN];
	int r = ssi_bootargs_format(b->args, args, sizeof(args));

	if (r < 0)
		return r;
	if (strlen(args) + strlen(b->more) + sizeof("initrd=initramfs initrd=initramfs-iscsi panic=4294967295  ") > KERNEL_ARGS_MAX)
		return -ENOSPC;
	text_of(b->master, master);
	ssi_buf_addf(ret, "#!ipxe\necho ssi: %s of %s, incarnation %llu, image %s %.19s\n", b->args->node, b->args->system,
		     (unsigned long long)b->args->incarnation, b->image, b->generation);
	/* initrd= names the file for an EFI stub; panic= reboots a machine whose initramfs is damaged: nobody else could. */
	ssi_buf_addf(ret, "kernel http://%s:%u/image/%s/%s/vmlinuz initrd=initramfs %spanic=%u %s%s%s || goto failed\n",
		     master, b->http_port, b->image, b->generation, *b->args->iscsi ? "initrd=initramfs-iscsi " : "", b->args->delay_s, args, *b->more ? " " : "", b->more);
	add_initrd(ret, b, master, "initramfs");
	/* The kernel unpacks one after the other: what a node needs that has disks of the master's. */
	if (*b->args->iscsi)
		add_initrd(ret, b, master, "initramfs-iscsi");
	ssi_buf_adds(ret, "boot ||\n");
	/*
	 * All is here, and the firmware could not start it. iPXE for UEFI, once out of its 512 KiB of memory, stays so however often it tries
	 * again: only a restart helps.
	 */
	ssi_buf_addf(ret, "echo ssi: the firmware could not start image %s, this machine restarts in %d s\nsleep %d\nreboot ||\n", b->image,
		     BOOTSCRIPT_AGAIN_S, BOOTSCRIPT_AGAIN_S);
	ssi_buf_addf(ret, ":failed\necho ssi: image %s could not be loaded from the master (see 'ssi-bootsvc events' on %s), trying again in %d s\n:again\n",
		     b->image, master, BOOTSCRIPT_AGAIN_S);
	add_again(ret, master, b->http_port, BOOTSCRIPT_AGAIN_S);
	return ret->err;
}

int bootscript_wait(struct in_addr master, uint16_t http_port, const char *text, unsigned again_s, struct ssi_buf *ret)
{
	char m[INET_ADDRSTRLEN];

	ssi_buf_adds(ret, "#!ipxe\necho ssi: ");
	for (; *text; text++) {
		char c = *text;

		/* "${" expands, "||" and "&&" divide, '#' begins a comment. */
		if (c < ' ' || c > '~' || c == '$' || c == '|' || c == '&' || c == '#')
			c = '.';
		ssi_buf_add(ret, &c, 1);
	}
	ssi_buf_addf(ret, "\necho ssi: asking again every %u s\n:again\n", again_s);
	add_again(ret, text_of(master, m), http_port, again_s);
	return ret->err;
}
