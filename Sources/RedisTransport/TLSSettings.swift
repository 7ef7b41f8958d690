// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOSSL

/// How a connection uses TLS: the server's certificate is always verified, and must be made out to its host.
public struct TLSSettings: Hashable, Sendable {
    /// A PEM file with the authorities to trust; nil for those that the system trusts.
    public var certificateAuthorityFile: String?

    /// A PEM file with the certificate to present, and those that lead to its authority; nil to present none.
    public var certificateFile: String?

    /// A PEM file with the key of that certificate.
    public var keyFile: String?

    /// The name that the server's certificate must be made out to; nil for the host of the URL.
    ///
    /// A certificate that is made out to the IP address that the connection goes to is accepted as well.
    public var serverName: String?

    /// TLS with the system's authorities and without a client certificate.
    public init(
        certificateAuthorityFile: String? = nil,
        certificateFile: String? = nil,
        keyFile: String? = nil,
        serverName: String? = nil
    ) {
        self.certificateAuthorityFile = certificateAuthorityFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.serverName = serverName
    }
}

extension TLSSettings {
    /// Reads the files; done once per node, before the first connection, so that a wrong path is told at once.
    func makeContext() throws(NodeFailure) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .fullVerification
        configuration.minimumTLSVersion = .tlsv12
        if let certificateAuthorityFile {
            let authorities = try Self.reading(certificateAuthorityFile) {
                try NIOSSLCertificate.fromPEMFile(certificateAuthorityFile)
            }
            configuration.trustRoots = .certificates(authorities)
        }
        guard (certificateFile == nil) == (keyFile == nil) else {
            throw NodeFailure(.tls, "a client certificate needs both its certificate file and its key file")
        }
        if let certificateFile, let keyFile {
            let chain = try Self.reading(certificateFile) { try NIOSSLCertificate.fromPEMFile(certificateFile) }
            configuration.certificateChain = chain.map { .certificate($0) }
            let key = try Self.reading(keyFile) { try NIOSSLPrivateKey(file: keyFile, format: .pem) }
            configuration.privateKey = .privateKey(key)
        }
        return try Self.reading("the TLS settings") { try NIOSSLContext(configuration: configuration) }
    }

    /// NIOSSL names the step that failed, and not why; most often it is one of these.
    private static func explanation(of error: any Error) -> String {
        switch error {
        case NIOSSLError.failedToLoadCertificate: "there is no such file, or it has no certificate in PEM form"
        case NIOSSLError.failedToLoadPrivateKey: "there is no such file, or it has no key in PEM form"
        default: "\(error)"
        }
    }

    private static func reading<Value>(_ what: String, _ body: () throws -> Value) throws(NodeFailure) -> Value {
        do {
            return try body()
        } catch {
            throw NodeFailure(.tls, "\(what) cannot be used for TLS: \(Self.explanation(of: error))")
        }
    }
}
