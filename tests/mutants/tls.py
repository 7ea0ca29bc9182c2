"""What makes TLS worth having, and what keeps a node on the network through a rotation."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

FILES = "crawler/api/tls.py"
TRIAL = "crawler/settings/tls_trial.py"
TESTS = "tests/unit/api/test_tls.py"
CERTS = "tests/unit/test_certs.py"

MUTANTS = [
    Mutant(
        "a node calls whoever answers, without TLS",
        "crawler/node/faces.py",
        "return self.certificates.pem if self.certificates else None",
        "return None",
        "tests/integration/test_processes_tls.py",
    ),
    Mutant(
        "peers do not verify the name",
        "crawler/api/rpc/tls.py",
        "    return grpc.secure_channel(address, credentials, options=options)\n",
        '    options = [*options, ("grpc.ssl_target_name_override", "127.0.0.1")]\n'
        "    return grpc.secure_channel(address, credentials, options=options)\n",
        TESTS,
    ),
    Mutant(
        "a client without TLS gets an answer from the port with it",
        "crawler/api/http/tls.py",
        "    if first == HANDSHAKE:\n        return\n",
        "    return\n",
        TESTS,
    ),
    Mutant(
        "a server without its certificates serves without TLS",
        "crawler/api/http/server.py",
        '            **({"ssl_context": Context(certificates)} if certificates else {}),\n',
        "",
        TESTS,
    ),
    Mutant(
        "gRPC asks no client for a certificate",
        "crawler/api/rpc/tls.py",
        "        _configuration(given), newest, certificates.of_grpc_clients\n",
        "        _configuration(given), newest, False\n",
        TESTS,
    ),
    Mutant(
        "HTTP asks no client for a certificate",
        FILES,
        "            made.verify_mode = ssl.CERT_REQUIRED\n",
        "            made.verify_mode = ssl.CERT_OPTIONAL\n",
        TESTS,
    ),
    Mutant(
        "a certificate of another authority is taken",
        TRIAL,
        "            side.load_verify_locations(ca)\n",
        "            side.load_verify_locations(cert)\n",
        TESTS,
    ),
    Mutant(
        "a client need not prove that it is one",
        FILES,
        "both=self.of_grpc_clients",
        "both=False",
        TESTS,
    ),
    Mutant(
        "an authority has to be a root",
        TRIAL,
        "            side.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as gRPC does\n",
        "",
        TESTS,
    ),
    Mutant(
        "a key that gRPC cannot use is taken",
        "crawler/settings/tls_files.py",
        "        if section == NODES:\n            _check_kind(cert)\n",
        "",
        TESTS,
    ),
    Mutant(
        "a pair that still changes is taken",
        FILES,
        "        if is_settled and self._is_due(now):\n",
        "        if self._is_due(now):\n",
        TESTS,
    ),
    Mutant(
        "a node ends with the first pair that is broken",
        FILES,
        "            self._tell(str(error))\n            return\n",
        "            self._tell(str(error))\n            raise\n",
        TESTS,
    ),
    Mutant(
        "files are never read anew",
        FILES,
        "            self._now = found\n",
        "",
        TESTS,
    ),
    Mutant(
        "files that failed once are never tried again",
        FILES,
        "return self._clock.monotonic() >= self._again_s",
        "return False",
        TESTS,
    ),
    Mutant(
        "a change of a mode is none",
        FILES,
        ", found.st_ctime_ns\n",
        ", 0\n",
        TESTS,
    ),
    Mutant(
        "nobody is told that a certificate ends",
        FILES,
        "left_s < SOON_S and",
        "left_s < 0 and",
        TESTS,
    ),
    Mutant(
        "connections count after their handshake",
        "crawler/api/http/server.py",
        "        self._serve_bounded(super().wrap_socket_and_handle, sock, address)\n",
        "        super().wrap_socket_and_handle(sock, address)\n",
        TESTS,
    ),
    Mutant(
        "a slow reader leaves a traceback",
        "crawler/api/http/server.py",
        " and not isinstance(error, _OF_CLIENTS):",
        ":",
        TESTS,
    ),
    Mutant(
        "a host named CA takes the place of the authority",
        "crawler/local/authority.py",
        "if stem == CA or",
        "if name == CA or",
        CERTS,
    ),
    Mutant(
        "a certificate of a node signs others",
        "crawler/local/authority.py",
        "    if not _is_authority(loaded):\n",
        "    if False:\n",
        CERTS,
    ),
    Mutant(
        "two hosts share one key",
        "crawler/local/authority.py",
        "        if stem in taken:\n",
        "        if False:\n",
        CERTS,
    ),
]
