provider "aws" {
  region     = "us-west-2"
  access_key = "{{akia}}"
  secret_key = "{{secret}}"
}
