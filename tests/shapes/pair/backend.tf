terraform {
  backend "s3" {
    bucket     = "b"
    key        = "path/to/state"
    access_key = "{{akia}}"
    secret_key = "{{secret}}"
  }
}
