// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOSSL

extension TLSSettings {
    /// Reads the files; done once per node, before the first connection, so that a wrong one is told at once.
    ///
    /// - Throws: `NodeFailure` that names the file and says what is wrong with it.
    func makeContext() throws(NodeFailure) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .fullVerification
        configuration.minimumTLSVersion = .tlsv12
        if let certificateAuthorityFile {
            configuration.trustRoots = .certificates(
                try Self.certificates(in: certificateAuthorityFile, of: "the file of authorities")
            )
        }
        guard (certificateFile == nil) == (keyFile == nil) else {
            throw NodeFailure(.tls, "a client certificate needs both its certificate file and its key file")
        }
        guard keyPassphrase == nil || keyFile != nil else {
            throw NodeFailure(.tls, "there is a passphrase for a key, and no key file")
        }
        if let certificateFile, let keyFile {
            let chain = try Self.certificates(in: certificateFile, of: "the certificate file")
            configuration.certificateChain = chain.map { .certificate($0) }
            configuration.privateKey = .privateKey(try key(in: keyFile))
        }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw Self.failure(ofContext: error, certificateFile: certificateFile, keyFile: keyFile)
        }
    }

    private static func failure(ofContext error: any Error, certificateFile: String?, keyFile: String?) -> NodeFailure {
        // The key was read before: what is told now is that it does not belong to the certificate.
        if let certificateFile, let keyFile, error as? NIOSSLError == .failedToLoadPrivateKey {
            return NodeFailure(
                .tls,
                "the key in \(keyFile) is not that of the first certificate in \(certificateFile); name the two files that "
                    + "were made together"
            )
        }
        let files = [certificateFile, keyFile].compactMap(\.self).joined(separator: " and ")
        return NodeFailure(
            .tls,
            "TLS cannot use \(files.isEmpty ? "the system's authorities" : files)\(TLSReason(error).inBrackets)"
        )
    }

    private static func contents(of path: String, _ what: String) throws(NodeFailure) -> [UInt8] {
        do throws(SettingsFile.Failure) {
            return try SettingsFile.contents(path: path)
        } catch {
            throw NodeFailure(.tls, "\(what) \(path) cannot be read: \(error)")
        }
    }

    private static func certificates(in path: String, of what: String) throws(NodeFailure) -> [NIOSSLCertificate] {
        let contents = try contents(of: path, what)
        if let certificates = try? NIOSSLCertificate.fromPEMBytes(contents), !certificates.isEmpty {
            return certificates
        }
        let text = String(decoding: contents, as: UTF8.self)
        let problem =
            text.contains("-----BEGIN CERTIFICATE-----")
            ? "a certificate in it is damaged or incomplete; copy it anew"
            : text.contains("PRIVATE KEY-----")
                ? "it has a key and no certificate"
                : "it has no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----"
        throw NodeFailure(.tls, "\(what) \(path) cannot be used: \(problem)")
    }

    private func key(in path: String) throws(NodeFailure) -> NIOSSLPrivateKey {
        func unusable(_ problem: String) -> NodeFailure {
            NodeFailure(.tls, "the key file \(path) cannot be used: \(problem)")
        }
        let contents = try Self.contents(of: path, "the key file")
        let text = String(decoding: contents, as: UTF8.self)
        guard text.contains("PRIVATE KEY-----") else {
            throw unusable(
                text.contains("-----BEGIN CERTIFICATE-----")
                    ? "it has a certificate and no key"
                    : "it has no key in PEM form, which begins with -----BEGIN PRIVATE KEY----- or the like"
            )
        }
        let isEncrypted = text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
        guard isEncrypted else {
            guard let key = try? NIOSSLPrivateKey(bytes: contents, format: .pem) else {
                throw unusable("the key in it is damaged, or of a kind that is not supported; RSA and EC are")
            }
            return key
        }
        guard let passphrase = keyPassphrase.map({ Array($0.utf8) }) else {
            throw unusable(
                "the key is encrypted, and no passphrase is given (REDLOCK_TLS_KEY_PASSPHRASE for the command)"
            )
        }
        // What reads the key takes no others.
        guard (1...1_023).contains(passphrase.count), passphrase.allSatisfy({ $0 < 0x80 }) else {
            throw unusable("the passphrase must have 1 to 1,023 ASCII characters; encrypt the key with another")
        }
        guard let key = try? NIOSSLPrivateKey(bytes: contents, format: .pem, passphraseCallback: { $0(passphrase) })
        else {
            throw unusable("the passphrase does not fit the key, or the key is damaged")
        }
        return key
    }
}
