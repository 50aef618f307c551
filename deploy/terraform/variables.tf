variable "region" {
  description = "Where everything is."
  type        = string
}

variable "stage" {
  description = "Which installation this is; part of every name."
  type        = string

  validation {
    condition     = contains(["staging", "production"], var.stage)
    error_message = "The stage is staging or production."
  }
}

variable "network" {
  description = "The private network, a /16; that of the overlay's stores.yaml."
  type        = string

  validation {
    condition     = endswith(var.network, "/16") && can(cidrhost(var.network, 0))
    error_message = "The network is a CIDR block that ends with /16."
  }
}

variable "administrators" {
  description = "Networks (CIDR) that may reach Kubernetes' API; nobody else may."
  type        = list(string)
}

variable "kubernetes_version" {
  description = "Version of Kubernetes."
  type        = string
  default     = "1.32"
}

variable "node_type" {
  description = "Machine of a worker: two of the pods in deploy/kuberay fit on eight processors."
  type        = string
  default     = "m7i.2xlarge"
}

variable "nodes" {
  description = "How many machines there may be."
  type        = object({ least = number, most = number })
  default     = { least = 3, most = 8 }
}

variable "database_class" {
  description = "Machine of the database."
  type        = string
  default     = "db.m7g.large"
}

variable "database_gigabytes" {
  description = "Room of the database at first; it grows to four times that by itself."
  type        = number
  default     = 100
}
