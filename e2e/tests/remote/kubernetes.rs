//! The subject of Kubernetes: a real kube-apiserver, whose RBAC lets a service account read one Secret by its name.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use crate::conformance::{Store, Subject, suite};
use crate::support::kubernetes::{API, Namespace, kubernetes};
use crate::support::{Authority, Network, Sandbox};

suite!(kubernetes_api, super::Pod::open);

/// A pod whose service account may read the Secret `app`.
pub(crate) struct Pod {
    namespace: Namespace,
    data: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Pod {
    pub(crate) fn open() -> Option<Self> {
        let namespace = kubernetes()?.namespace();
        namespace.secret::<&[u8]>("app", &[]);
        namespace.allow(&["app"]);
        Some(Self { namespace, data: Mutex::default() })
    }

    fn write(&self, data: &BTreeMap<String, Vec<u8>>) {
        let pairs: Vec<_> = data.iter().map(|(key, value)| (key.as_str(), value)).collect();
        self.namespace.replace("app", &pairs);
    }
}

impl Subject for Pod {
    fn store(&self) -> Store {
        Store {
            is_binary: true,
            has_empty_values: true,
            has_dates: true,
            twins: Some(["db-password", "DB_PASSWORD"]),
            many: 60,
            largest_value: 65_536,
            separator: '.',
        }
    }

    fn put(&self, secrets: &[(&str, &[u8])]) {
        let mut data = self.data.lock().unwrap();
        data.extend(secrets.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())));
        self.write(&data);
    }

    fn delete(&self, key: &str) {
        let mut data = self.data.lock().unwrap();
        data.remove(key).unwrap();
        self.write(&data);
    }

    fn deny(&self) {
        self.namespace.deny();
    }

    fn server(&self) -> SocketAddr {
        self.namespace.cluster.server()
    }

    fn network(&self) -> &'static Network {
        self.namespace.cluster.network()
    }

    fn names(&self) -> &'static [&'static str] {
        &[API]
    }

    fn authority(&self) -> &Authority {
        self.namespace.cluster.authority()
    }

    fn configure(&self, sandbox: Sandbox) -> Sandbox {
        self.namespace.pod(sandbox).variable("K8S_SECRET_NAME", "app")
    }
}
