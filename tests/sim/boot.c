/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns a node's way to its key: the boot script over HTTP, then the token over ccm. Called by sim-nodes.c, from several threads. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "ssi/boot/node.h"
#include "tests/sim/sim.h"

#define BOOT_SCRIPT_MAX 16384
#define BOOT_TIMEOUT_MS 20000

void boot_mac(char mac[SSI_MAC_LEN], uint32_t number)
{
	snprintf(mac, SSI_MAC_LEN, "52:54:01:%02x:%02x:%02x", number >> 16 & 0xff, number >> 8 & 0xff, number & 0xff);
}

static int boot_get(struct in_addr master, uint16_t port, const char *mac, char *buf, size_t n, struct ssi_err *e)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = master, .sin_port = htons(port) };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[128];
	int len = snprintf(request, sizeof(request), "GET /boot/%s HTTP/1.0\r\n\r\n", mac);
	ssize_t r;

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return ssi_errno(e, -errno, "connect to the HTTP port %u", port);
	r = ssi_fd_write_all(fd, request, (size_t)len);
	if (r >= 0)
		r = ssi_fd_read_full(fd, buf, n - 1);
	if (r < 0)
		return ssi_errno(e, (int)r, "GET /boot/%s", mac);
	buf[r] = '\0';
	return strstr(buf, " 200 ") ? 0 : ssi_errf(e, -EPROTO, "GET /boot/%s: %.*s", mac, (int)strcspn(buf, "\r\n"), buf);
}

/* The kernel's arguments in a boot script. */
static int boot_script(const char *mac, char *script, struct ssi_bootargs *ret, struct ssi_err *e)
{
	char *line = strstr(script, "\nkernel "), *echo = strstr(script, "\necho ");

	if (!line)
		return ssi_errf(e, -ENODATA, "%s is given no kernel: %.*s", mac, echo ? (int)strcspn(echo + 1, "\n") : 0, echo ? echo + 1 : "");
	line++;
	line[strcspn(line, "|\n")] = '\0';
	return ssi_bootargs_parse(line, ret, e);
}

int boot_node(struct in_addr master, uint16_t http_port, uint16_t ccm_port, const char *mac, struct ssi_bootargs *ret, uint8_t ret_key[SSI_CCM_KEY],
	      struct ssi_err *e)
{
	struct ssi_boot_keys keys = { 0 };
	char script[BOOT_SCRIPT_MAX];
	int r = boot_get(master, http_port, mac, script, sizeof(script), e);

	if (r >= 0)
		r = boot_script(mac, script, ret, e);
	if (r < 0)
		return r;
	ret->master = master;
	if (ccm_port)
		ret->port = ccm_port;
	r = ssi_boot_exchange_token(ret, BOOT_TIMEOUT_MS, &keys, e);
	memcpy(ret_key, keys.key, SSI_CCM_KEY);
	return r;
}
